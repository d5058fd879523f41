// What an approval plans to do, read from whatever the playbook sent: a list whose items usually hold action, target,
// changes [{resource, what, before, after}], reversible and notes. What is not known is shown as it is.
import type { Approval, Json } from './api';

export interface Change {
  resource: string;
  what: string;
  before: Json;
  after: Json;
}

export interface PlanItem {
  action: string;
  reversible: boolean | null;
  changes: Change[];
  notes: string[];
  target: { [key: string]: Json } | null;
  rest: Json | undefined;
}

const isObject = (value: Json | undefined): value is { [key: string]: Json } => typeof value === 'object' && value !== null && !Array.isArray(value);
const KNOWN = ['action', 'reversible', 'changes', 'notes', 'target', 'resource', 'what', 'before', 'after'];

function readChange(value: Json): Change | null {
  if (!isObject(value) || !('before' in value || 'after' in value)) return null;
  return { resource: String(value['resource'] ?? ''), what: String(value['what'] ?? ''), before: value['before'] ?? null, after: value['after'] ?? null };
}

export function describePlan(plan: Json[]): PlanItem[] {
  return plan.map((value) => {
    if (!isObject(value)) return { action: typeof value === 'string' ? value : 'planned', reversible: null, changes: [], notes: [], target: null, rest: typeof value === 'string' ? undefined : value };
    const own = readChange(value);
    const listed = Array.isArray(value['changes']) ? value['changes'] : [];
    const changes = listed.map(readChange).filter((change): change is Change => change !== null);
    if (own) changes.unshift(own);
    const rest = Object.fromEntries(Object.entries(value).filter(([key]) => !KNOWN.includes(key)));
    if (changes.length < listed.length + (own ? 1 : 0)) rest['changes'] = value['changes']!;
    return {
      action: String(value['action'] ?? value['what'] ?? 'planned'),
      reversible: typeof value['reversible'] === 'boolean' ? value['reversible'] : null,
      changes,
      notes: Array.isArray(value['notes']) ? value['notes'].filter((note): note is string => typeof note === 'string') : typeof value['notes'] === 'string' ? [value['notes']] : [],
      target: isObject(value['target']) ? value['target'] : null,
      rest: Object.keys(rest).length > 0 ? rest : undefined,
    };
  });
}

const NAMES = ['instance_id', 'bucket', 'group_id', 'user', 'user_name', 'role', 'name', 'id', 'arn'];

// The name that whoever approves has to type: of the first target that something is done to. '' where nothing changes.
export function targetName(approval: Pick<Approval, 'plan'>): string {
  for (const item of describePlan(approval.plan)) {
    if (item.changes.length === 0 && item.reversible === null) continue;
    for (const key of NAMES) {
      const value = item.target?.[key];
      if (typeof value === 'string' && value) return value;
    }
    const resource = item.changes[0]?.resource;
    if (resource) return resource;
    const first = Object.values(item.target ?? {}).find((value) => typeof value === 'string' && value !== '');
    if (typeof first === 'string') return first;
  }
  return '';
}
