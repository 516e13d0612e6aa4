/*
 * The intent: what a restore is about to do, as JSON in `.sqlite-backup-restore-<id>.json` beside the databases, from
 * before the first name is touched until the last is in its place. Format 1. It holds bare names of its own folder only,
 * so a forged one can do no more than its author could without it. A restore into several folders has an intent in each,
 * with the same id; the first folder's, the lead, is written last and removed first. While the lead is missing, nothing is
 * half-done: either no name was changed yet, or all are in their places. What was done is read from the disk, never from
 * here.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import * as v from 'valibot';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { writePrivateFile } from '../files/publish.ts';
import { syncFolder } from '../files/sync.ts';
import { intentPath, privateFolderPath, workIdOfIntent } from '../files/workplace.ts';
import { parseSetAsideName } from '../manifest/names.ts';
import { parts } from './parts.ts';

const intentFormat = 1;
const longestIntentBytes = 1024 * 1024;

const text = v.pipe(v.string(), v.maxLength(4096));
const bareName = v.pipe(
  text,
  v.check((name) => name !== '' && name === basename(name) && !/[/\\\0]|^\.{1,2}$/.test(name)),
);
const folderPath = v.pipe(text, v.check(isAbsolute));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
/** A `FileState`. */
const fileSchema = v.object({
  part: v.picklist(parts),
  identity: text,
  sizeBytes: count,
  mtimeNs: text,
  sha256: v.exactOptional(digest),
});

const itemSchema = v.object({
  /** Counts the items of a restore over all folders. */
  index: count,
  member: v.exactOptional(text),
  /** Of the database as it was backed up, where that is recorded. */
  sha256: v.exactOptional(digest),
  /** As asked for. */
  target: text,
  /** Of the live file, in the folder of the intent. */
  name: bareName,
  /** What was live: empty when there was no file. */
  old: v.array(fileSchema),
  /** Where `old` is kept. */
  setAside: v.exactOptional(bareName),
  safetySnapshot: v.exactOptional(text),
  /** An undo only: the set-aside that is put back. */
  from: v.exactOptional(bareName),
  /** What will be live, proved and synced in the private folder. Missing until it is. */
  staged: v.exactOptional(v.array(fileSchema)),
  /** Of `old` and `staged`, where siblings have content: all of it as one file in the private folder. */
  wholeOld: v.exactOptional(fileSchema),
  wholeNew: v.exactOptional(fileSchema),
  /** There are no hard links: a file is recognised by its content, and its identity says nothing. */
  byContent: v.exactOptional(v.boolean()),
});

const intentSchema = v.object({
  format: v.literal(intentFormat),
  tool: v.object({ name: v.literal('sqlite-backup'), version: text }),
  id: text,
  action: v.picklist(['restore', 'undo']),
  startedAt: v.pipe(v.string(), v.isoTimestamp()),
  backup: v.exactOptional(folderPath),
  items: v.array(itemSchema),
  /** The other folders of the same restore. */
  alsoIn: v.array(folderPath),
  /** The folder of the lead. Missing in the lead itself. */
  lead: v.exactOptional(folderPath),
  /** The inode of each of these folders: an empty mount point is not the folder of a disk that is not connected. */
  inodes: v.exactOptional(v.record(folderPath, text)),
});

export type IntentItem = v.InferOutput<typeof itemSchema> & {
  /** The real folder of the live file. */
  folder: string;
};

export interface Intent {
  id: string;
  action: 'restore' | 'undo';
  startedAt: string;
  toolVersion: string;
  backup?: string;
  /** Without any, nothing is half-done and only the intents themselves are left. */
  items: IntentItem[];
  /** All folders of the restore, the lead's first. */
  folders: string[];
}

export function foldersOf(items: readonly { folder: string }[]): string[] {
  return [...new Set(items.map(({ folder }) => folder))];
}

export function livePath({ folder, name }: IntentItem): string {
  return join(folder, name);
}

/** Where the set-aside's database file is; undefined when there is nothing to keep. */
export function setAsidePath({ folder, setAside }: IntentItem): string | undefined {
  return setAside === undefined ? undefined : join(folder, setAside);
}

/** The private folder for an item of the restore `id`. */
export function stageFolder(id: string, { folder }: Pick<IntentItem, 'folder'>): string {
  return privateFolderPath(folder, id);
}

export function stagedPath(id: string, item: Pick<IntentItem, 'folder' | 'index'>): string {
  return join(stageFolder(id, item), `${item.index}.db`);
}

/** Where the whole of `old` or `staged` is, see `wholeOld` and `wholeNew`. */
export function wholePath(
  id: string,
  item: Pick<IntentItem, 'folder' | 'index'>,
  of: 'old' | 'new',
): string {
  return join(stageFolder(id, item), `${item.index}.whole-${of}.db`);
}

/** Writes, or replaces, the intent in each folder, durably, the lead last. The private folders must exist. */
export function writeIntent(intent: Intent): void {
  for (const folder of intent.folders.toReversed()) {
    const path = intentPath(folder, intent.id);
    const draft = join(privateFolderPath(folder, intent.id), 'intent.json');
    try {
      rmSync(draft, { force: true });
      writePrivateFile(draft, serialize(intent, folder));
      renameSync(draft, path); // Its name is random, so no other file has it.
      syncFolder(folder);
    } catch (error) {
      throw explain(error, 'target', path);
    }
  }
}

function serialize(intent: Intent, folder: string): string {
  const { id, action, startedAt, toolVersion, backup, items, folders } = intent;
  const [lead] = folders;
  const others = folders.filter((other) => other !== folder);
  const value: v.InferInput<typeof intentSchema> = {
    format: intentFormat,
    tool: { name: 'sqlite-backup', version: toolVersion },
    id,
    action,
    startedAt,
    ...(backup !== undefined && { backup }),
    items: items
      .filter((item) => item.folder === folder)
      .map(({ folder: _folder, ...item }) => item),
    alsoIn: others,
    ...(lead !== undefined && lead !== folder && { lead }),
    ...(others.length > 0 && {
      inodes: Object.fromEntries(others.map((other) => [other, inodeOf(other)])),
    }),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Makes the private folder of an item, which may be there already. */
export function makeStage(id: string, item: Pick<IntentItem, 'folder'>): void {
  const folder = stageFolder(id, item);
  try {
    if (!exists(folder)) mkdirSync(folder, 0o700);
  } catch (error) {
    throw explain(error, 'target', item.folder);
  }
}

/** Takes the intents away, the lead first, then what they kept from being swept. */
export function dropIntent(intent: Intent): void {
  for (const folder of intent.folders) {
    const path = intentPath(folder, intent.id);
    try {
      if (exists(path)) unlinkSync(path);
      syncFolder(folder);
    } catch (error) {
      throw explain(error, 'target', path);
    }
  }
  discardStages(intent);
}

/** Removes what was staged, of a restore that has no intent or none any more. */
export function discardStages(intent: Pick<Intent, 'id' | 'folders'>): void {
  for (const folder of intent.folders) removeStage(folder, intent.id);
}

function removeStage(folder: string, id: string): void {
  try {
    rmSync(privateFolderPath(folder, id), { recursive: true, force: true });
  } catch {
    // Without its intent it is a leftover, which the next backup or restore in this folder sweeps.
  }
}

/** The intents in a folder. */
export function listIntents(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => workIdOfIntent(name) !== undefined)
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    throw explain(error, 'source', folder);
  }
}

/** Reads an intent and its likes in other folders. Throws for anything that is not exactly one. */
export function readIntent(given: string): Intent {
  const path = resolve(given);
  const found = readOne(path);
  const lead = found.lead === undefined ? found : leadOf(found, found.lead);
  const { id, action, startedAt, tool, backup } = found;
  const common = {
    id,
    action,
    startedAt,
    toolVersion: tool.version,
    ...(backup !== undefined && { backup }),
  };
  // Without the lead nothing is half-done, and only the notes are left.
  if (lead === undefined) {
    const others = found.alsoIn.filter((folder) => existsSync(folder));
    return { ...common, items: [], folders: [found.folder, ...others] };
  }
  const all = [lead, ...lead.alsoIn.flatMap((folder) => likeIn(folder, lead))];
  return {
    ...common,
    items: all.flatMap(({ items }) => items).sort((a, b) => a.index - b.index),
    folders: all.map(({ folder }) => folder),
  };
}

/**
 * What an intent says of its own folder, also while another folder of it cannot be reached: it may be half-done then.
 * Undefined for what is no intent, or none any more. Throws when it cannot be read.
 */
export function readIntentHere(path: string): Intent | undefined {
  try {
    return readIntent(path);
  } catch (error) {
    if (!isBackupError(error)) throw error;
    if (error.code === 'incomplete' || !exists(path)) return undefined;
    const { id, action, startedAt, tool, items, folder } = readOne(path);
    return { id, action, startedAt, toolVersion: tool.version, items, folders: [folder] };
  }
}

/** The live paths that the work on an intent must have for itself, also when nothing is half-done. */
export function livesOf(path: string): string[] {
  const { items } = readIntent(path);
  return (items.length > 0 ? items : readOne(resolve(path)).items).map(livePath);
}

function leadOf(found: ParsedIntent, folder: string): ParsedIntent | undefined {
  return likeIn(folder, found)[0];
}

/** The intent of the same restore in another folder, if there is one. */
function likeIn(folder: string, known: ParsedIntent): ParsedIntent[] {
  const path = intentPath(folder, known.id);
  if (exists(path)) return [readOne(path)];
  // What cannot be reached may be half-done.
  const inode = known.inodes?.[folder];
  if (existsSync(folder) && (inode === undefined || inode === inodeOf(folder))) return [];
  throw new BackupError(
    'source-missing',
    `The unfinished restore also involves ${folder}, which cannot be reached.`,
    {
      path: folder,
      hint: 'Connect the disk of that folder, then recover.',
    },
  );
}

function inodeOf(folder: string): string {
  return String(statSync(folder, { bigint: true }).ino);
}

type ParsedIntent = Omit<v.InferOutput<typeof intentSchema>, 'items'> & {
  items: IntentItem[];
  folder: string;
};

function readOne(path: string): ParsedIntent {
  const folder = dirname(path);
  let json: string;
  try {
    const stats = lstatSync(path);
    if (!stats.isFile() || stats.size > longestIntentBytes) throw notOurs(path, 'not a small file');
    json = readFileSync(path, 'utf8');
  } catch (error) {
    throw explain(error, 'source', path);
  }
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw notOurs(path, 'not JSON');
  }
  const result = v.safeParse(intentSchema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw notOurs(path, `${v.getDotPath(issue) ?? 'intent'}: ${issue.message}`);
  }
  const { id, items } = result.output;
  if (workIdOfIntent(basename(path)) !== id) throw notOurs(path, 'its id is not that of its name');
  for (const { name, setAside, from, old } of items) {
    const keeps = [setAside, from].filter((one) => one !== undefined);
    if (!keeps.every((one) => parseSetAsideName(one)?.target === name))
      throw notOurs(path, 'a previous database is not named after its database');
    if (old.length > 0 && setAside === undefined)
      throw notOurs(path, 'the previous database would not be kept');
  }
  return { ...result.output, folder, items: items.map((item) => ({ ...item, folder })) };
}

function notOurs(path: string, reason: string): BackupError {
  return new BackupError('incomplete', `${path} is not a valid note of a restore: ${reason}.`, {
    path,
    hint: 'Check the files beside it: `*.bad-…` is the complete previous database.',
  });
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
