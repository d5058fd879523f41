// Dark or light as the machine has it, unless told otherwise here; and whether single keys are shortcuts.
import { signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';
const read = (key: string) => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};
const write = (key: string, value: string) => {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Private windows may refuse; then it holds for this page.
  }
};

export const theme = signal<Theme>((read('sortie-theme') as Theme | null) ?? 'auto');
export const keysOn = signal(read('sortie-keys') !== 'off');

export function applyTheme(): void {
  document.documentElement.dataset['theme'] = theme.value;
}

export function nextTheme(): void {
  theme.value = theme.value === 'auto' ? 'dark' : theme.value === 'dark' ? 'light' : 'auto';
  write('sortie-theme', theme.value);
  applyTheme();
}

export function toggleKeys(): void {
  keysOn.value = !keysOn.value;
  write('sortie-keys', keysOn.value ? 'on' : 'off');
}
