/** Is a bundle still what was bundled, and are the databases in it sound? Returns all that was found, trouble too. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isOfFinder } from '../bundle/entryNames.ts';
import {
  type BundleMember,
  differingEntries,
  type OpenBundle,
  withBundle,
} from '../bundle/openBundle.ts';
import { bytesToUnpack, unpackMember } from '../bundle/unpack.ts';
import { isBackupError } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { requireSpace } from '../files/space.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import type { Progress } from '../job.ts';
import type {
  BundleContents,
  BundleManifest,
  Finding,
  ParsedManifest,
} from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { type Check, checkDatabase } from '../sqlite/check.ts';
import { readHeader } from '../sqlite/header.ts';
import {
  manifestRemarks,
  type Verdict,
  verdict,
  weighCheck,
  weighCheckError,
  type Weighed,
  weighError,
  weighWarnings,
} from './verdict.ts';

type OnProgress = (progress: Progress) => void;

/**
 * Checks a bundle of ours, or any zip with databases: the container, every entry's size, CRC and hash, and every database
 * by SQLite on a private copy in `scratchParent`. With `only`, of the content these members alone. Never throws for damage.
 */
export async function verifyBundle(
  bundle: string,
  onProgress: OnProgress,
  scratchParent: string = tmpdir(),
  only?: ReadonlySet<string>,
): Promise<Verdict> {
  let path = bundle;
  const weighed: Weighed[] = [];
  try {
    path = resolveRegularFile(bundle);
    const beside = readManifestOf(path);
    // What is wrong elsewhere in the zip says nothing about the members that are wanted: they have hashes of their own.
    if (only === undefined)
      for (const one of weighWhole(path, beside, onProgress)) weighed.push(one);
    await withBundle(path, async (open) => {
      await open.zip.requireSoundEntries();
      weighed.push(...weighManifests(open, beside));
      for await (const one of weighMembers(open, onProgress, scratchParent, only))
        weighed.push(one);
    });
  } catch (error) {
    weighed.push(weighError(error, path));
  }
  return verdict(path, weighed);
}

/** The zip as a file: its size and hash, when there is a manifest beside it that knows them. */
function* weighWhole(
  path: string,
  beside: ParsedManifest | undefined,
  onProgress: OnProgress,
): Generator<Weighed> {
  if (beside === undefined) return;
  if (beside.kind !== 'bundle') {
    if (beside.kind === 'manifest')
      yield gap('bad-manifest', 'The backup details beside it do not belong to a bundle.');
    else yield* manifestRemarks(beside);
    return;
  }
  const { sizeBytes: totalBytes, sha256 } = beside.manifest;
  const actual = sha256File(path, (doneBytes) =>
    onProgress({ phase: 'hash', doneBytes: Math.min(doneBytes, totalBytes), totalBytes }),
  );
  if (actual !== sha256)
    yield damage('hash-mismatch', 'The SHA-256 differs from the backup details.');
}

function* weighManifests(open: OpenBundle, beside: ParsedManifest | undefined): Generator<Weighed> {
  const { contents, problem } = open;
  if (problem !== undefined) {
    if (beside?.kind === 'bundle')
      yield damage(
        'bad-manifest',
        'The backup details in the zip differ from those that were written.',
      );
    else yield* manifestRemarks(problem);
    return;
  }
  if (contents === undefined) {
    if (beside?.kind === 'bundle')
      yield damage('missing-entry', 'The backup details are not in the zip.');
    else if (beside === undefined) yield* manifestRemarks(undefined);
    return;
  }
  for (const finding of differingEntries(open)) yield { damage: finding };
  if (beside?.kind === 'bundle' && !isDeepStrictEqual(contents, contentsOf(beside.manifest)))
    yield damage('manifest-differs', 'The backup details in the zip differ from those beside it.');
  if (beside === undefined)
    yield gap('no-manifest', 'There are no backup details beside it, only those in the zip.');
  for (const { path, message } of contents.failures ?? [])
    yield { remark: { code: 'incomplete', message: `${path} is not in it: ${message}` } };
}

/** What a manifest beside a bundle has in common with the one inside. */
function contentsOf(manifest: BundleManifest): BundleContents {
  const { sizeBytes, sha256, verdict: kept, drill, note, pinned, ...contents } = manifest;
  void [sizeBytes, sha256, kept, drill, note, pinned];
  return contents;
}

async function* weighMembers(
  open: OpenBundle,
  onProgress: OnProgress,
  scratchParent: string,
  only: ReadonlySet<string> | undefined,
): AsyncGenerator<Weighed> {
  const wanted = open.zip.members.filter(({ name }) => only?.has(name) !== false);
  const totalBytes = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const known = new Map(open.members.map((member) => [member.name, member]));
  let doneBytes = 0;
  const onBytes = (bytes: number): void =>
    onProgress({ phase: 'check', doneBytes: (doneBytes += bytes), totalBytes });
  for (const { name, sizeBytes } of wanted) {
    const member = known.get(name) ?? { name, kind: 'companion', sizeBytes };
    for await (const one of weighMember(open, member, onBytes, scratchParent))
      yield ofMember(name, one);
  }
}

async function* weighMember(
  open: OpenBundle,
  member: BundleMember,
  onBytes: (bytes: number) => void,
  scratchParent: string,
): AsyncGenerator<Weighed> {
  try {
    if (member.kind === 'database') yield* weighDatabase(open, member, onBytes, scratchParent);
    else {
      const hash = createHash('sha256');
      let begin = Buffer.alloc(0);
      await open.zip.read(member.name, (chunk) => {
        hash.update(chunk);
        if (begin.length < 16) begin = Buffer.concat([begin, chunk.subarray(0, 16)]);
        onBytes(chunk.length);
      });
      yield* weighHash(member, hash.digest('hex'));
      const isHidden = member.entry === undefined && begin.toString('latin1').startsWith(magic);
      if (isHidden) yield* weighDatabase(open, member, () => undefined, scratchParent);
      else yield* siblingRemarks(open, member);
    }
  } catch (error) {
    // What it would be after the roll-back cannot be known here, which is no damage.
    if (isBackupError(error) && error.code === 'hot-journal') yield gap(error.code, error.message);
    else yield weighError(error, member.name);
  }
}

/** A file that is no database has no siblings: what is called like one stays in the zip. */
async function* siblingRemarks(
  { zip, contents }: OpenBundle,
  { name }: BundleMember,
): AsyncGenerator<Weighed> {
  if (contents !== undefined || isOfFinder(name)) return;
  for (const sibling of zip.siblingsOf(name)) {
    await zip.read(sibling.name, () => undefined);
    const message = `${sibling.name} has the name of a database journal, so it is never extracted.`;
    yield { remark: { code: 'sibling', message } };
  }
}

const magic = 'SQLite format 3\0';

async function* weighDatabase(
  open: OpenBundle,
  member: BundleMember,
  onBytes: (bytes: number) => void,
  scratchParent: string,
): AsyncGenerator<Weighed> {
  requireSpace(scratchParent, bytesToUnpack(open, member));
  const scratch = makePrivateFolder(scratchParent);
  try {
    const copy = join(scratch.path, 'copy.db');
    const { sha256, absorbed } = await unpackMember(open, member, copy, onBytes);
    yield* weighHash(member, sha256);
    for (const sibling of absorbed)
      yield { remark: { code: 'with-sibling', message: `It was read together with ${sibling}.` } };
    const header = readHeader(copy);
    if (header.kind === 'newer') {
      const message = 'It needs a newer SQLite than this one.';
      yield { unchecked: { code: 'newer-format', message } };
      return;
    }
    if (header.kind !== 'sqlite') {
      yield damage('not-a-database', 'It is not a SQLite database.');
      return;
    }
    if (header.pageCount !== undefined && header.pageCount * header.pageSize !== header.sizeBytes)
      yield damage('size-mismatch', 'Its size differs from its header.');
    const recorded = member.entry?.kind === 'database' ? member.entry : undefined;
    yield* weighWarnings(recorded?.warnings);
    let check: Check;
    try {
      check = checkDatabase(copy, { access: 'private', foreignKeys: true });
    } catch (error) {
      yield weighCheckError(error, member.name);
      return;
    }
    yield* weighCheck(check, recorded);
    rmSync(copy);
  } finally {
    scratch.remove();
  }
}

function* weighHash({ sha256 }: BundleMember, actual: string): Generator<Weighed> {
  if (sha256 !== undefined && sha256 !== actual)
    yield damage('hash-mismatch', 'The SHA-256 differs from the backup details.');
}

function damage(code: string, message: string): Weighed {
  return { damage: { code, message } };
}

function gap(code: string, message: string): Weighed {
  return { gap: { code, message } };
}

/** The finding, with the name of the member before it. */
function ofMember(name: string, one: Weighed): Weighed {
  const named = ({ code, message }: Finding): Finding => ({
    code,
    message: `${name.slice(0, 200)}: ${message}`,
  });
  if ('outOfStep' in one) return one;
  if ('damage' in one) return { damage: named(one.damage) };
  if ('unchecked' in one) return { unchecked: named(one.unchecked) };
  return 'gap' in one ? { gap: named(one.gap) } : { remark: named(one.remark) };
}
