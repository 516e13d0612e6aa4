/**
 * The events that agents send to a hook, in the three dialects that are known: Claude Code's and that of VS Code's bundled
 * agent (`hook_event_name`, `session_id`, `tool_name`, `tool_input`), that of VS Code's documentation (`hookEventName`,
 * `sessionId`), and that of the Copilot SDK (`toolName`, `toolArgs`, often without the name of the event).
 */

export const eventNames = [
  'SessionStart',
  'UserPromptSubmit',
  'PreToolUse',
  'PostToolUse',
  'Stop',
] as const;
export type EventName = (typeof eventNames)[number];

export interface HookEvent {
  name: EventName;
  /** The Copilot SDK reads its answer from the top of the object. */
  isFlat: boolean;
  session: string;
  /** Empty for an event that is not about a tool. */
  tool: string;
  /** Where the agent works; undefined when it does not say. */
  cwd: string | undefined;
}

/** Other names of the same events. */
const aliases: Readonly<Record<string, EventName>> = {
  userpromptsubmitted: 'UserPromptSubmit',
  sessionend: 'Stop',
  agentstop: 'Stop',
};

/** A session's id and a tool's name are parts of manifests and texts. */
const longestName = 200;

/** Undefined for what is no event that is known. Never throws, whatever the text is. */
export function parseHookEvent(text: string): HookEvent | undefined {
  const fields = objectIn(text);
  if (fields === undefined) return undefined;
  const textOf = (...keys: string[]): string | undefined =>
    keys.map((key) => fields[key]).find((value) => typeof value === 'string');
  const tool = textOf('tool_name', 'toolName') ?? '';
  const name = nameOf(textOf('hook_event_name', 'hookEventName', 'eventName')) ?? impliedBy(fields);
  if (name === undefined) return undefined;
  return {
    name,
    isFlat: fields['hook_event_name'] === undefined && fields['hookEventName'] === undefined,
    session: oneLine(textOf('session_id', 'sessionId') ?? ''),
    tool: oneLine(tool),
    cwd: textOf('cwd', 'workingDirectory'),
  };
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function nameOf(said: string | undefined): EventName | undefined {
  const plain = said?.toLowerCase() ?? '';
  return eventNames.find((name) => name.toLowerCase() === plain) ?? aliases[plain];
}

/** What an event without a name must be. */
function impliedBy(fields: Readonly<Record<string, unknown>>): EventName | undefined {
  const has = (...keys: string[]): boolean => keys.some((key) => fields[key] !== undefined);
  if (has('toolName', 'tool_name'))
    return has('toolResult', 'tool_response', 'toolResponse') ? 'PostToolUse' : 'PreToolUse';
  if (has('prompt')) return 'UserPromptSubmit';
  return has('source') ? 'SessionStart' : undefined;
}

/** Text from outside, as a part of a line. */
export function oneLine(text: string, most = longestName): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').slice(0, most);
}

/**
 * Tools that only read files or answer from them. Everything else can run code, or change files. A tool that requests an
 * address is not here: the address may be that of an application.
 */
const readers = new Set([
  ...[
    'read',
    'readfile',
    'readfiles',
    'view',
    'viewimage',
    'notebookread',
    'readnotebookcelloutput',
  ],
  ...['grep', 'grepsearch', 'glob', 'globsearch', 'filesearch', 'search', 'semanticsearch'],
  ...['textsearch', 'codebase', 'ls', 'listdir', 'listdirectory', 'listfiles', 'listcodeusages'],
  ...['usages', 'problems', 'geterrors', 'getchangedfiles', 'changes', 'getterminaloutput'],
  ...['todowrite', 'todoread', 'managetodolist', 'think', 'bashoutput'],
]);

/** Whether a tool can change no file. */
export function onlyReads(tool: string): boolean {
  const plain = tool.toLowerCase().replaceAll(/[^a-z]/g, '');
  return readers.has(plain) || plain.startsWith('sqlitebackup');
}
