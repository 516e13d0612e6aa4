/**
 * The hook in the files that agents outside of VS Code read. What is there of others stays; what was ours alone goes
 * without a trace. All files are written, or none.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import * as v from 'valibot';
import { dataFolderPath, makeDataFolder } from '../core/files/dataFolder.ts';
import { lstatIfAny, realPathOf } from '../core/files/paths.ts';
import { replaceFile, replacePrivateFile } from '../core/files/publish.ts';

/** `outside`: a link leads out of the project. `not-json`: a person has to mend it first. */
export type Trouble = 'outside' | 'not-json' | 'not-read' | 'not-written';

export interface HookFile {
  path: string;
  /** What the file will be. Undefined where there is trouble. */
  text: string | undefined;
  trouble?: Trouble;
}

export interface HookFilesResult {
  changed: string[];
  failed: { path: string; trouble: Trouble }[];
}

const call = 'sqlite-backup hook';
const posix = `if command -v sqlite-backup >/dev/null 2>&1; then ${call}; else echo '{}'; fi`;
const powershell = `if (Get-Command sqlite-backup -ErrorAction SilentlyContinue) { ${call} } else { '{}' }`;

const forClaude = {
  matcher: '*',
  hooks: [{ type: 'command', command: posix, timeout: 20 }],
};
const forCopilot = { type: 'command', bash: posix, powershell, timeoutSec: 20 };

const targets: readonly { path: string; events: string[]; entry: object; frame: object }[] = [
  {
    path: '.github/hooks/sqlite-backup.json',
    events: ['sessionStart', 'userPromptSubmitted', 'preToolUse', 'postToolUse', 'sessionEnd'],
    entry: forCopilot,
    frame: { version: 1 },
  },
  {
    // The person's own, which git ignores by Claude Code's rule.
    path: '.claude/settings.local.json',
    events: ['SessionStart', 'UserPromptSubmit', 'PreToolUse', 'PostToolUse', 'Stop'],
    entry: forClaude,
    frame: {},
  },
];

const recordSchema = v.record(
  v.string(),
  v.object({
    before: v.nullable(v.string()),
    written: v.string(),
    madeFolders: v.array(v.string()),
  }),
);
type Records = v.InferOutput<typeof recordSchema>;

/** What would be written. Nothing is. */
export function planHookFiles(root: string): HookFile[] {
  return targets.map(({ path: name, events, entry, frame }) => {
    const path = join(root, name);
    const found = contentOf(root, path);
    if ('trouble' in found) return { path, text: undefined, trouble: found.trouble };
    const hooks = { ...hooksIn(found.json) };
    for (const event of events) {
      const others = entriesOf(hooks[event]).filter((one) => !isOurs(one));
      hooks[event] = [...others, entry];
    }
    const whole = found.text === undefined ? frame : found.json;
    return { path, text: textOf({ ...whole, hooks }, found.text) };
  });
}

/** Whether the hook is in one of the files. */
export function hasHookFiles(root: string): boolean {
  return targets.some(({ path }) => {
    const found = contentOf(root, join(root, path));
    return !('trouble' in found) && (found.text?.includes(call) ?? false);
  });
}

/** Writes what the plan says. With trouble in one file, none is changed. */
export function writeHookFiles(root: string): HookFilesResult {
  const planned = planHookFiles(root);
  const failed = planned.flatMap(({ path, trouble }) =>
    trouble === undefined ? [] : [{ path, trouble }],
  );
  if (failed.length > 0) return { changed: [], failed };
  const records = readRecords(root);
  const changed: string[] = [];
  for (const { path, text = '' } of planned) {
    const before = existsSync(path) ? readFileSync(path, 'utf8') : null;
    if (before === text) continue;
    const madeFolders = missingFolders(root, path);
    // It was written by another window or before: what was there before that counts.
    const known = records[path];
    const isKnown = known !== undefined && before !== null && known.written === before;
    try {
      mkdirSync(dirname(path), { recursive: true });
      const next = isKnown ? { ...known, written: text } : { before, written: text, madeFolders };
      rememberRecords(root, { ...records, [path]: next });
      records[path] = next;
      replace(path, text);
      changed.push(path);
    } catch {
      for (const folder of madeFolders) removeIfEmpty(folder);
      removeHookFiles(root);
      return { changed: [], failed: [{ path, trouble: 'not-written' }] };
    }
  }
  return { changed, failed: [] };
}

/** Takes the hook away. A file that is as it was written becomes what it was before, byte for byte. */
export function removeHookFiles(root: string): HookFilesResult {
  const records = readRecords(root);
  const result: HookFilesResult = { changed: [], failed: [] };
  for (const { path: name, frame } of targets) {
    const path = join(root, name);
    const found = contentOf(root, path);
    if ('trouble' in found) {
      if (found.trouble !== 'not-json' || records[path] !== undefined)
        result.failed.push({ path, trouble: found.trouble });
      continue;
    }
    if (found.text === undefined || !found.text.includes(call)) continue;
    const record = records[path];
    const rest = record?.written === found.text ? record.before : withoutOurs(found, frame, record);
    try {
      if (rest === null) {
        rmSync(path);
        for (const folder of record?.madeFolders ?? []) removeIfEmpty(folder);
      } else replace(path, rest);
      result.changed.push(path);
      delete records[path];
    } catch {
      result.failed.push({ path, trouble: 'not-written' });
    }
  }
  if (result.changed.length > 0) rememberRecords(root, records);
  return result;
}

type Content = { text: string | undefined; json: Record<string, unknown> } | { trouble: Trouble };

function contentOf(root: string, path: string): Content {
  const real = realPathOf(existingAt(path));
  const realRoot = realPathOf(root);
  if (real !== realRoot && !real.startsWith(realRoot + sep)) return { trouble: 'outside' };
  if (lstatIfAny(path) === undefined) return { text: undefined, json: {} };
  let text: string;
  try {
    if (!statSync(path).isFile()) return { trouble: 'not-read' };
    text = readFileSync(path, 'utf8');
  } catch {
    return { trouble: 'not-read' };
  }
  try {
    const json: unknown = JSON.parse(text);
    const isFit = isObject(json) && (json['hooks'] === undefined || isObject(json['hooks']));
    return isFit ? { text, json } : { trouble: 'not-json' };
  } catch {
    return { trouble: 'not-json' };
  }
}

/** The path, or the nearest folder above it that is there. */
function existingAt(path: string): string {
  return lstatIfAny(path) === undefined && dirname(path) !== path
    ? existingAt(dirname(path))
    : path;
}

/** Null when nothing is left that is of others. */
function withoutOurs(
  { json, text }: { json: Record<string, unknown>; text: string | undefined },
  frame: object,
  record: Records[string] | undefined,
): string | null {
  const hooks = Object.entries(hooksIn(json)).flatMap(([event, entries]) => {
    const others = entriesOf(entries).filter((one) => !isOurs(one));
    const isEmptied = Array.isArray(entries) && entries.length > 0 && others.length === 0;
    return isEmptied ? [] : [[event, Array.isArray(entries) ? others : entries]];
  });
  const others = Object.fromEntries(Object.entries(json).filter(([key]) => key !== 'hooks'));
  const isFrame = JSON.stringify(others) === JSON.stringify(frame);
  if (hooks.length === 0 && isFrame && (record === undefined || record.before === null))
    return null;
  const rest =
    hooks.length === 0 ? others : { ...json, hooks: Object.fromEntries(hooks) as object };
  return textOf(rest, text);
}

/** With the indentation and the last line break that the file has. */
function textOf(json: object, before: string | undefined): string {
  const indent = /^[{[]\r?\n([ \t]+)/.exec(before ?? '')?.[1] ?? 2;
  const end = before === undefined || before.endsWith('\n') ? '\n' : '';
  const text = JSON.stringify(json, null, indent) + end;
  return before?.includes('\r\n') === true ? text.replaceAll('\n', '\r\n') : text;
}

function hooksIn({ hooks }: Record<string, unknown>): Record<string, unknown> {
  return isObject(hooks) ? hooks : {};
}

function entriesOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isOurs(entry: unknown): boolean {
  return JSON.stringify(entry).includes(call);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** In one step: an agent that reads it meanwhile sees the one or the other. */
function replace(path: string, text: string): void {
  const real = realPathOf(path);
  const { mode = 0o644 & ~process.umask() } = statSync(real, { throwIfNoEntry: false }) ?? {};
  replaceFile(real, text, mode);
}

/** From the deepest up. */
function missingFolders(root: string, path: string): string[] {
  const folder = dirname(path);
  return folder === root || existsSync(folder) ? [] : [folder, ...missingFolders(root, folder)];
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Others have put something into it.
  }
}

function recordsPath(root: string): string {
  const hash = createHash('sha256').update(root).digest('hex').slice(0, 32);
  return join(dataFolderPath(), 'hook-files', `${hash}.json`);
}

function readRecords(root: string): Records {
  try {
    const result = v.safeParse(recordSchema, JSON.parse(readFileSync(recordsPath(root), 'utf8')));
    return result.success ? result.output : {};
  } catch {
    return {};
  }
}

function rememberRecords(root: string, records: Records): void {
  makeDataFolder('hook-files');
  replacePrivateFile(recordsPath(root), JSON.stringify(records));
}
