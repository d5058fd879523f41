// A definition as scopes of states and edges, for drawing. Whatever reads as a state is there: a target that is
// missing becomes a stub, and a definition that cannot be read at all has no states.

export interface GraphState {
  name: string;
  type: string; // '' where the definition does not say.
  missing: boolean;
  ends: boolean;
  scopes: Scope[]; // Of a Parallel or Map.
}

export interface GraphEdge {
  from: string;
  to: string;
  label: string;
  kind: 'next' | 'choice' | 'default' | 'catch';
}

export interface Scope {
  label: string; // "branch 1", "each item"
  start: string;
  states: GraphState[];
  edges: GraphEdge[];
}

type Obj = { [key: string]: unknown };
const isObject = (value: unknown): value is Obj => typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown) => (typeof value === 'string' ? value : '');
const DEPTH_MAX = 20;
const STATES_MAX = 2000;

const OPERATORS: [RegExp, string][] = [
  [/GreaterThanEquals/, '≥'],
  [/LessThanEquals/, '≤'],
  [/GreaterThan/, '>'],
  [/LessThan/, '<'],
  [/Equals/, '='],
  [/Matches/, '~'],
];

// A Choice rule in a few words: "$.severity = CRITICAL".
export function ruleText(rule: unknown, depth = 0): string {
  if (!isObject(rule) || depth > 4) return '…';
  if (typeof rule['Condition'] === 'string') return rule['Condition'];
  if (Array.isArray(rule['And'])) return rule['And'].map((r) => ruleText(r, depth + 1)).join(' and ');
  if (Array.isArray(rule['Or'])) return rule['Or'].map((r) => ruleText(r, depth + 1)).join(' or ');
  if (rule['Not']) return `not (${ruleText(rule['Not'], depth + 1)})`;
  const variable = text(rule['Variable']);
  for (const [key, value] of Object.entries(rule)) {
    if (['Variable', 'Next', 'Comment', 'Output', 'Assign'].includes(key)) continue;
    if (key.startsWith('Is')) return `${variable} ${value === false ? 'is not' : 'is'} ${key.slice(2).toLowerCase()}`;
    const operator = OPERATORS.find(([pattern]) => pattern.test(key));
    return `${variable} ${operator?.[1] ?? key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`;
  }
  return variable;
}

function edgesOf(name: string, state: Obj): GraphEdge[] {
  const edges: GraphEdge[] = [];
  const add = (to: unknown, label: string, kind: GraphEdge['kind']) => {
    if (typeof to === 'string') edges.push({ from: name, to, label, kind });
  };
  if (Array.isArray(state['Choices'])) {
    for (const rule of state['Choices']) if (isObject(rule)) add(rule['Next'], ruleText(rule), 'choice');
  }
  add(state['Default'], 'otherwise', 'default');
  add(state['Next'], '', 'next');
  if (Array.isArray(state['Catch'])) {
    for (const catcher of state['Catch']) {
      if (!isObject(catcher)) continue;
      const errors = Array.isArray(catcher['ErrorEquals']) ? catcher['ErrorEquals'].filter((e) => typeof e === 'string') : [];
      add(catcher['Next'], errors.join(', ') || 'error', 'catch');
    }
  }
  return edges;
}

function scopesOf(state: Obj, budget: { left: number }, depth: number): Scope[] {
  if (depth >= DEPTH_MAX) return [];
  if (Array.isArray(state['Branches'])) {
    return state['Branches'].filter(isObject).map((branch, i) => makeScope(branch, `branch ${i + 1}`, budget, depth + 1));
  }
  const inner = state['ItemProcessor'] ?? state['Iterator'];
  return isObject(inner) ? [makeScope(inner, 'each item', budget, depth + 1)] : [];
}

function makeScope(definition: Obj, label: string, budget: { left: number }, depth: number): Scope {
  const scope: Scope = { label, start: text(definition['StartAt']), states: [], edges: [] };
  const states = isObject(definition['States']) ? definition['States'] : {};
  const known = new Set<string>();
  for (const [name, state] of Object.entries(states)) {
    if (!isObject(state) || budget.left-- <= 0) continue;
    known.add(name);
    const type = text(state['Type']);
    scope.states.push({
      name,
      type,
      missing: false,
      ends: state['End'] === true || type === 'Succeed' || type === 'Fail',
      scopes: scopesOf(state, budget, depth),
    });
    scope.edges.push(...edgesOf(name, state));
  }
  for (const target of [scope.start, ...scope.edges.map((edge) => edge.to)]) {
    if (!target || known.has(target)) continue;
    known.add(target);
    scope.states.push({ name: target, type: '', missing: true, ends: false, scopes: [] });
  }
  return scope;
}

// Null where the text is no JSON object.
export function readDefinition(definition: string): Scope | null {
  try {
    const value: unknown = JSON.parse(definition);
    return isObject(value) ? makeScope(value, '', { left: STATES_MAX }, 0) : null;
  } catch {
    return null;
  }
}

// The state of that name, wherever it is nested, with its raw definition.
export function findState(definition: string, name: string): Obj | null {
  try {
    const search = (value: unknown, depth: number): Obj | null => {
      if (!isObject(value) || depth > DEPTH_MAX) return null;
      const states = value['States'];
      if (!isObject(states)) return null;
      if (isObject(states[name])) return states[name];
      for (const state of Object.values(states)) {
        if (!isObject(state)) continue;
        const inner = Array.isArray(state['Branches']) ? state['Branches'] : [state['ItemProcessor'] ?? state['Iterator']];
        for (const scope of inner) {
          const found = search(scope, depth + 1);
          if (found) return found;
        }
      }
      return null;
    };
    return search(JSON.parse(definition), 0);
  } catch {
    return null;
  }
}
