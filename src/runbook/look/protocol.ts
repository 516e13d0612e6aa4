/*
 * The conversation between the host and the page that shows what is inside a backup. The page sends ids out of the state
 * that it was shown, never a path and never free text.
 */
import * as v from 'valibot';
import {
  type Action,
  actionSchema,
  count,
  id,
  lineSchema,
  noticeSchema,
  progressSchema,
  text,
} from '../protocol.ts';

const cellSchema = v.strictObject({
  kind: v.picklist(['null', 'number', 'text', 'blob']),
  text,
  /** `cut, 12 KB` */
  note: v.exactOptional(text),
});

/** What changed between two moments of the database. */
const changeSchema = v.strictObject({
  id,
  title: text,
  lines: v.array(lineSchema),
  progress: v.exactOptional(progressSchema),
  rows: v.array(
    v.strictObject({ table: text, added: count, removed: count, changed: count, note: text }),
  ),
  notes: v.array(text),
  actions: v.array(actionSchema),
});

const tableSchema = v.strictObject({
  /** Opens and closes it; undefined for what has no rows to show. */
  action: v.exactOptional(actionSchema),
  name: text,
  isOpen: v.boolean(),
  /** `1,200 rows`, `view` */
  count: text,
  content: v.exactOptional(
    v.strictObject({
      columns: v.array(text),
      rows: v.array(v.array(cellSchema)),
      lines: v.array(lineSchema),
      actions: v.array(actionSchema),
    }),
  ),
});

const stateSchema = v.strictObject({
  words: v.strictObject({
    warning: text,
    error: text,
    proof: text,
    table: text,
    added: text,
    removed: text,
    changed: text,
    /** {0} the name of a table */
    rowsOf: text,
  }),
  title: text,
  subtitle: text,
  notices: v.array(noticeSchema),
  actions: v.array(actionSchema),
  verdict: v.array(lineSchema),
  facts: v.array(v.strictObject({ label: text, text })),
  changes: v.array(changeSchema),
  tables: v.strictObject({
    title: text,
    note: text,
    items: v.array(tableSchema),
    lines: v.array(lineSchema),
    actions: v.array(actionSchema),
  }),
  schema: v.strictObject({
    title: text,
    action: actionSchema,
    isOpen: v.boolean(),
    text: v.exactOptional(text),
    lines: v.array(lineSchema),
  }),
  busy: v.boolean(),
  /** Read out by screen readers when it changes. */
  liveMessage: text,
});

export type LookCell = v.InferOutput<typeof cellSchema>;
export type LookChange = v.InferOutput<typeof changeSchema>;
export type LookTable = v.InferOutput<typeof tableSchema>;
export type LookState = v.InferOutput<typeof stateSchema>;

const toPageSchema = v.strictObject({ state: stateSchema });
export type ToLookPage = v.InferOutput<typeof toPageSchema>;

const toHostSchema = v.union([
  v.strictObject({ ready: v.literal(true) }),
  v.strictObject({ act: id }),
  v.strictObject({ trouble: v.picklist(['message-refused', 'page-failed']) }),
]);
export type FromLookPage = v.InferOutput<typeof toHostSchema>;

/** For the page: undefined for anything that is no message of the host. */
export function parseToLookPage(message: unknown): ToLookPage | undefined {
  const result = v.safeParse(toPageSchema, message);
  return result.success ? result.output : undefined;
}

/** For the host: what may be done about a message from the page, given the state that it was sent last. */
export function parseFromLookPage(
  message: unknown,
  shown: LookState | undefined,
): { message: FromLookPage } | { refused: string } {
  const result = v.safeParse(toHostSchema, message);
  if (!result.success) return { refused: 'no message of the page' };
  if (!('act' in result.output)) return { message: result.output };
  const { act } = result.output;
  const isOffered =
    shown !== undefined && actionsIn(shown).some((one) => one.id === act && one.enabled);
  return isOffered ? { message: result.output } : { refused: `not offered: ${act}` };
}

function actionsIn({ notices, actions, changes, tables, schema }: LookState): Action[] {
  return [
    ...actions,
    ...[...notices, ...changes, tables].flatMap((part) => part.actions),
    ...tables.items.flatMap(({ action, content }) => [action ?? [], content?.actions ?? []].flat()),
    schema.action,
  ];
}
