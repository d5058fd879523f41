import { defineConfig } from 'vite';

// What the server's content security policy wants: nothing inlined, no polyfill that touches the page, one style sheet.
export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    outDir: process.env.SORTIE_WEB_OUT ?? '../build/web/dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  worker: { format: 'es' },
});
