/*
 * The conversation between the host (the panel, in the extension) and the page (the webview):
 *   page -> host   { ready: true }              once per load; the host answers with the state
 *   host -> page   { state }                    all there is to see, again at every change
 *   page -> host   { act | tick }               an id out of that state, never a path and never free text
 *   page -> host   { copy }                     the commands of a step; the host copies, for only it has the exact text
 *   host -> page   { copied }                   they are in the clipboard
 *   page -> host   { trouble }                  something from the host was no message, or the page itself failed
 * Ids are unique in the whole state, whatever they belong to. An id names all that it does ("restore-beside", not
 * "restore"): what was pressed is then what was shown. A refused message is answered by sending the state again.
 */
import * as v from 'valibot';

export const id = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/));
export const text = v.string();
export const count = v.pipe(v.number(), v.integer(), v.minValue(0));

export const actionSchema = v.strictObject({
  id,
  label: text,
  kind: v.picklist(['primary', 'secondary', 'danger', 'link']),
  enabled: v.boolean(),
  /** Why it cannot be used now: shown beside a disabled button. */
  reason: v.exactOptional(text),
});

export const lineSchema = v.strictObject({
  /** `proof` is a fact that was checked just then. */
  kind: v.picklist(['fact', 'proof', 'warning', 'error']),
  text,
  /** When, as it is to be read. */
  at: v.exactOptional(text),
  action: v.exactOptional(actionSchema),
});

export const progressSchema = v.strictObject({
  done: v.pipe(v.number(), v.minValue(0)),
  /** 0 when it is not known how much there is. */
  total: v.pipe(v.number(), v.minValue(0)),
  /** `38 % · 210 MB/s · 3 s left` */
  text,
});

/** Something that the person ticks. */
const tickSchema = v.strictObject({
  id,
  label: text,
  note: v.exactOptional(text),
  ticked: v.boolean(),
  enabled: v.boolean(),
});

const cardSchema = v.strictObject({
  /** `Backup`, `Live database` */
  label: text,
  title: text,
  /** Short facts, shown in one run. */
  facts: v.array(text),
  /** What deserves a line of its own. */
  lines: v.array(lineSchema),
});

export const noticeSchema = v.strictObject({
  id,
  kind: v.picklist(['info', 'warning', 'error']),
  title: text,
  text: v.exactOptional(text),
  actions: v.array(actionSchema),
});

const rowSchema = v.strictObject({
  table: text,
  /** Rows, null when they could not be counted. */
  live: v.nullable(count),
  backup: v.nullable(count),
  lost: v.nullable(count),
  gained: v.nullable(count),
  changed: v.nullable(count),
});

/** What the restore of one database would change. */
const comparisonSchema = v.strictObject({
  id,
  title: text,
  /** `compared 5 s ago` */
  at: v.exactOptional(text),
  /** The result in one sentence, which stays in sight when the rest is folded. */
  summary: v.exactOptional(lineSchema),
  progress: v.exactOptional(progressSchema),
  /** Tables that differ, in the order to show; a few hundred at most. */
  rows: v.array(rowSchema),
  /** Shown below more than one row. */
  total: v.exactOptional(v.strictObject({ lost: count, gained: count, changed: count })),
  /** `9 other tables are identical` */
  rest: v.exactOptional(text),
  notCompared: v.array(v.strictObject({ table: text, reason: text })),
  /** Schema, migrations, and what could not be found out. */
  lines: v.array(lineSchema),
  actions: v.array(actionSchema),
});

const holderSchema = v.strictObject({
  name: text,
  pid: count,
  note: v.exactOptional(text),
  /** Ends it. */
  action: v.exactOptional(actionSchema),
});

const commandsSchema = v.strictObject({ posix: text, powershell: text });

const stepStatuses = [
  'waiting',
  'current',
  'running',
  'done',
  'confirmed',
  'skipped',
  'failed',
] as const;

const stepSchema = v.strictObject({
  id,
  number: count,
  title: text,
  /** `confirmed`: done by the word of the person. */
  status: v.picklist(stepStatuses),
  /** Instead of the word for the status: `watching…` */
  statusText: v.exactOptional(text),
  /** When it was done, as it is to be read. */
  at: v.exactOptional(text),
  summary: v.exactOptional(text),
  /** Of a bundle, which databases to restore. */
  members: v.exactOptional(v.strictObject({ label: text, items: v.array(tickSchema) })),
  holders: v.array(holderSchema),
  lines: v.array(lineSchema),
  progress: v.exactOptional(progressSchema),
  checks: v.array(tickSchema),
  confirm: v.exactOptional(tickSchema),
  actions: v.array(actionSchema),
  commands: v.exactOptional(commandsSchema),
});

const wordsSchema = v.strictObject({
  steps: text,
  /** {0} its number, {1} its title */
  step: text,
  /** {0} number, {1} title, {2} status */
  stepChanged: text,
  status: v.strictObject(v.entriesFromList(stepStatuses, text)),
  warning: text,
  error: text,
  proof: text,
  holders: text,
  /** {0} the number of a process */
  pid: text,
  checks: text,
  table: text,
  live: text,
  backup: text,
  lost: text,
  gained: text,
  changed: text,
  total: text,
  byTable: text,
  unknown: text,
  notCompared: text,
  byHand: text,
  shells: text,
  posix: text,
  powershell: text,
  copy: text,
  copied: text,
});

const stateSchema = v.strictObject({
  /** Which restore this is: the page remembers it, so that a window that is reloaded can find it again. */
  runbook: id,
  words: wordsSchema,
  title: text,
  subtitle: text,
  notices: v.array(noticeSchema),
  /** What is restored, and over what. */
  from: cardSchema,
  to: cardSchema,
  /** One per database. */
  comparisons: v.array(comparisonSchema),
  steps: v.array(stepSchema),
  footer: v.strictObject({ text, actions: v.array(actionSchema) }),
  /** Something is under way. */
  busy: v.boolean(),
  /** Read out by screen readers when it changes, after the steps that changed, which the page says itself. */
  liveMessage: text,
  /** Whose commands are shown first. */
  shell: v.picklist(['posix', 'powershell']),
});

export type Action = v.InferOutput<typeof actionSchema>;
export type Line = v.InferOutput<typeof lineSchema>;
export type Progress = v.InferOutput<typeof progressSchema>;
export type Tick = v.InferOutput<typeof tickSchema>;
export type Card = v.InferOutput<typeof cardSchema>;
export type Notice = v.InferOutput<typeof noticeSchema>;
export type ComparisonRow = v.InferOutput<typeof rowSchema>;
export type Comparison = v.InferOutput<typeof comparisonSchema>;
export type Holder = v.InferOutput<typeof holderSchema>;
export type Step = v.InferOutput<typeof stepSchema>;
/** All that the page says of its own; `pageWords` has them. */
export type PageWords = v.InferOutput<typeof wordsSchema>;
export type RunbookState = v.InferOutput<typeof stateSchema>;
export type Shell = RunbookState['shell'];

const copySchema = v.strictObject({ step: id, shell: v.picklist(['posix', 'powershell']) });

const toPageSchema = v.union([
  v.strictObject({
    state: v.pipe(
      stateSchema,
      v.check((state) => {
        const ids = idsIn(state);
        return new Set(ids).size === ids.length;
      }, 'An id is there twice'),
    ),
  }),
  v.strictObject({ copied: copySchema }),
]);
export type ToPage = v.InferOutput<typeof toPageSchema>;

const toHostSchema = v.union([
  v.strictObject({ ready: v.literal(true) }),
  v.strictObject({ act: id }),
  v.strictObject({ tick: id, value: v.boolean() }),
  v.strictObject({ copy: copySchema }),
  v.strictObject({ trouble: v.picklist(['message-refused', 'page-failed']) }),
]);
export type ToHost = v.InferOutput<typeof toHostSchema>;

const memorySchema = v.object({
  runbook: v.exactOptional(id),
  /** Disclosures that the person opened or closed. */
  open: v.record(v.string(), v.boolean()),
  shell: v.exactOptional(v.picklist(['posix', 'powershell'])),
  scrollTop: v.number(),
});
/** What the page keeps across reloads; VS Code hands it to the host when it brings back the panel. */
export type PageMemory = v.InferOutput<typeof memorySchema>;

/** For the page: undefined for anything that is no message of the host. */
export function parseToPage(message: unknown): ToPage | undefined {
  const result = v.safeParse(toPageSchema, message);
  return result.success ? result.output : undefined;
}

/** For the page, and for the host that brings back a panel: undefined for anything else. */
export function parseMemory(memory: unknown): PageMemory | undefined {
  const result = v.safeParse(memorySchema, memory);
  return result.success ? result.output : undefined;
}

/** For the host: what may be done about a message from the page, given the state that it was sent last. */
export function parseToHost(
  message: unknown,
  shown: RunbookState | undefined,
): { message: ToHost } | { refused: string } {
  const result = v.safeParse(toHostSchema, message);
  if (!result.success) return { refused: 'no message of the page' };
  return isOffered(result.output, shown)
    ? { message: result.output }
    : { refused: `not offered: ${JSON.stringify(result.output)}` };
}

function isOffered(message: ToHost, shown: RunbookState | undefined): boolean {
  if ('ready' in message || 'trouble' in message) return true;
  if (shown === undefined) return false;
  if ('copy' in message) {
    return shown.steps.some(({ id, commands }) => id === message.copy.step && commands);
  }
  const [offered, wanted] =
    'act' in message ? [actionsIn(shown), message.act] : [ticksIn(shown), message.tick];
  return offered.some(({ id, enabled }) => id === wanted && enabled);
}

function idsIn(state: RunbookState): string[] {
  const owners = [state.notices, state.comparisons, state.steps].flat();
  return [...owners, ...actionsIn(state), ...ticksIn(state)].map(({ id }) => id);
}

function actionsIn({ notices, from, to, comparisons, steps, footer }: RunbookState): Action[] {
  const summaries = comparisons.flatMap(({ summary }) => summary ?? []);
  const lines = [from, to, ...comparisons, ...steps].flatMap((part) => part.lines);
  return [
    ...[...notices, ...comparisons, ...steps, footer].flatMap(({ actions }) => actions),
    ...[...summaries, ...lines, ...steps.flatMap(({ holders }) => holders)].flatMap(
      ({ action }) => action ?? [],
    ),
  ];
}

function ticksIn({ steps }: RunbookState): Tick[] {
  return steps.flatMap(({ members, checks, confirm }) => [
    ...(members?.items ?? []),
    ...checks,
    ...(confirm ? [confirm] : []),
  ]);
}
