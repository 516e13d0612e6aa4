/** States of the page that shows what is inside a backup. */
import type { LookState } from '../../src/runbook/look/protocol.ts';

export const shopState: LookState = {
  words: {
    warning: 'Warning',
    error: 'Error',
    proof: 'Checked',
    table: 'Table',
    added: 'Added',
    removed: 'Removed',
    changed: 'Changed',
    rowsOf: 'Rows of {0}',
  },
  title: 'api/dev.db · Today 13:45',
  subtitle: 'This page only reads.',
  notices: [
    { id: 'deleted', kind: 'warning', title: 'This backup is not there any longer.', actions: [] },
  ],
  actions: [
    { id: 'restore', label: 'Restore…', kind: 'primary', enabled: true },
    {
      id: 'compare',
      label: 'Compare with Live',
      kind: 'secondary',
      enabled: false,
      reason: 'No live database.',
    },
  ],
  verdict: [
    { kind: 'proof', text: 'Verified', at: 'Saturday, 13:45' },
    { kind: 'warning', text: 'A trial was not possible.' },
    { kind: 'error', text: 'A page differs.' },
  ],
  facts: [
    { label: 'Size', text: '48.2 MB' },
    { label: 'SHA-256', text: 'ab'.repeat(32) },
  ],
  changes: [
    {
      id: 'change-before',
      title: 'Since the backup before it',
      lines: [],
      rows: [{ table: 'orders', added: 1200, removed: 0, changed: 3, note: 'new table' }],
      notes: ['9 other tables are identical.'],
      actions: [],
    },
    {
      id: 'change-live',
      title: 'Since then, in the live database',
      lines: [{ kind: 'fact', text: 'There is no file at that place.' }],
      progress: { done: 1, total: 3, text: 'comparing…' },
      rows: [],
      notes: [],
      actions: [
        { id: 'compare-live', label: 'Compare Rows (2 GB)', kind: 'secondary', enabled: true },
      ],
    },
  ],
  tables: {
    title: 'Tables',
    note: '1 to 2 of 100,000',
    lines: [],
    items: [
      {
        action: { id: 't5', label: 'orders', kind: 'link', enabled: true },
        name: 'orders',
        isOpen: true,
        count: '31,311 rows',
        content: {
          columns: ['id', 'note', 'photo', 'paid'],
          rows: Array.from({ length: 5 }, (_, index) => [
            { kind: 'number', text: String(index) },
            { kind: 'text', text: `${'long '.repeat(40)}…`, note: 'text, 12 KB' },
            { kind: 'blob', text: `x'00FF'…`, note: 'blob, 3.1 MB' },
            { kind: 'null', text: 'NULL' },
          ]),
          lines: [{ kind: 'fact', text: 'Rows 1 to 100' }],
          actions: [
            { id: 't5.previous', label: 'Previous 100', kind: 'secondary', enabled: false },
            { id: 't5.next', label: 'Next 100', kind: 'secondary', enabled: true },
          ],
        },
      },
      { name: 'totals', isOpen: false, count: 'view, not read here' },
    ],
    actions: [{ id: 'tables.next', label: 'Next Tables', kind: 'secondary', enabled: true }],
  },
  schema: {
    title: 'Schema',
    action: { id: 'schema', label: 'Schema', kind: 'link', enabled: true },
    isOpen: true,
    text: 'CREATE TABLE orders (id INTEGER PRIMARY KEY);',
    lines: [],
  },
  busy: true,
  liveMessage: 'reading…',
};

/** The same with names and values that try to act. */
export function hostileLook(): LookState {
  const text = `<img src=x onerror=alert(1)>[Fix](command:x)\u202egpj.bd\u0007 ${'long'.repeat(60)}`;
  const state = structuredClone(shopState);
  state.title = text;
  state.facts.push({ label: 'Note', text });
  state.schema.text = `${text}</pre><script>alert(1)</script>`;
  const [change] = state.changes;
  const [table] = state.tables.items;
  for (const row of change?.rows ?? []) row.table = text;
  if (table?.content !== undefined) {
    table.name = text;
    table.content.columns = [text, text, text, text];
    table.content.rows = [[1, 2, 3, 4].map(() => ({ kind: 'text', text, note: text }))];
  }
  return state;
}
