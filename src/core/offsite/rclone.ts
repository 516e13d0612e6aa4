/** rclone: plain files on some 70 kinds of storage. A copy lies at `<first 12 of its SHA-256>/<name>`. */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { writePrivateFile } from '../files/publish.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import { longestBundleManifestBytes, parseManifest } from '../manifest/manifest.ts';
import { readMemory, writeMemory } from './destination.ts';
import { inOrder } from './newest.ts';
import type { Driver, Remote } from './driver.ts';
import { type Engine, runEngine } from './engine.ts';
import { answerOf, parseJson, shown } from './answer.ts';
import { isAtLeast } from './restic.ts';
import { trouble } from './trouble.ts';
import { isBackupError } from '../errors.ts';
import { databaseIdOf } from './receipts.ts';

const oldest = [1, 50] as const;
/** A place that cannot be reached is an answer, and soon. */
const network = [
  '--retries',
  '2',
  '--low-level-retries',
  '3',
  '--contimeout',
  '15s',
  '--timeout',
  '60s',
];
const always = [...network, '--ask-password=false'];
const reporting = ['--use-json-log', '--stats', '1s', '-v'];

const filesSchema = v.array(
  v.object({ Path: v.string(), Name: v.string(), Size: v.number(), ModTime: v.string() }),
);
/** What the manifests there say. A manifest of the same name, size and time is not downloaded again. */
const factsSchema = v.object({
  sha256: v.string(),
  sizeBytes: v.number(),
  createdAt: v.string(),
  after: v.optional(v.string()),
  database: v.optional(v.string()),
});
const memorySchema = v.record(v.string(), v.nullable(factsSchema));
type Facts = v.InferOutput<typeof factsSchema>;
const statsSchema = v.object({ stats: v.object({ bytes: v.number() }) });

export async function rcloneDriver(engine: Engine): Promise<Driver> {
  const { name, repository } = engine.destination;
  const where = { name, engine: 'rclone' };
  const text = await runEngine(engine, { args: ['version'] });
  const version = /^rclone v(\d+\.\d+(?:\.\d+)?)/m.exec(text)?.[1];
  if (version === undefined || !isAtLeast(version, oldest))
    throw trouble('too-old', where, `${version ?? shown(text)}, not ${oldest.join('.')}`);
  const at = (path: string): string => `${repository}${/[:/]$/.test(repository) ? '' : '/'}${path}`;
  const copy = async (
    from: string,
    to: string,
    again: boolean,
    onBytes: (done: number) => void,
  ): Promise<void> => {
    let last = 0;
    await runEngine(engine, {
      args: ['copyto', ...always, ...reporting, ...(again ? ['--ignore-times'] : []), from, at(to)],
      onError(line) {
        const parsed = v.safeParse(statsSchema, parseJson(line));
        if (!parsed.success || parsed.output.stats.bytes <= last) return false;
        onBytes((last = parsed.output.stats.bytes));
        return true;
      },
    });
  };

  return {
    version,
    addressOf,
    async exists() {
      await filesThere();
      return true;
    },
    create: () => Promise.resolve(),
    async list() {
      const files = await filesThere();
      const byPath = new Map(files.map((one) => [one.Path, one]));
      const pairs = files.filter(
        ({ Path, Size }) =>
          /^[0-9a-f]{12}\/[^/]+$/.test(Path) && byPath.has(`${Path}.json`) && Size > 0,
      );
      if (pairs.length === 0) return [];
      const before = readMemory(engine.destination, 'copies', memorySchema) ?? {};
      const known = new Map<string, Facts | null>();
      const keyOf = ({ Path }: { Path: string }): string => {
        const manifest = byPath.get(`${Path}.json`);
        return `${Path} ${manifest?.Size} ${manifest?.ModTime}`;
      };
      for (const pair of pairs) {
        const facts = Object.hasOwn(before, keyOf(pair)) ? before[keyOf(pair)] : undefined;
        if (facts !== undefined) known.set(pair.Path, facts);
      }
      const isReadable = ({ Path }: { Path: string }): boolean =>
        (byPath.get(`${Path}.json`)?.Size ?? 0) <= longestBundleManifestBytes;
      const missing = pairs
        .filter((pair) => !known.has(pair.Path) && isReadable(pair))
        .map(({ Path }) => Path);
      if (missing.length > 0)
        for (const [path, facts] of await factsThere(missing)) known.set(path, facts);
      if (missing.length > 0 || Object.keys(before).length !== known.size)
        writeMemory(
          engine.destination,
          'copies',
          Object.fromEntries(
            pairs.flatMap((pair) => {
              const facts = known.get(pair.Path);
              return facts === undefined ? [] : [[keyOf(pair), facts]];
            }),
          ),
        );
      return inOrder(pairs.flatMap((pair) => remoteOf(pair, known.get(pair.Path)) ?? []));
    },
    async send({ folder, name: file, manifest, again = false }, onProgress) {
      const path = addressOf(file, manifest.sha256);
      await copy(join(folder, file), path, again, onProgress);
      // Last, so that a copy with a manifest is whole. What a killed run left of one is replaced.
      await copy(join(folder, `${file}.json`), `${path}.json`, true, () => undefined);
      return path;
    },
    async read({ id }, which, onData) {
      const path = which === 'backup' ? id : `${id}.json`;
      await runEngine(engine, { args: ['cat', ...always, at(path)], onData });
    },
  };

  /** What these manifests say; null for what is none. */
  async function factsThere(paths: readonly string[]): Promise<Map<string, Facts | null>> {
    const scratch = makePrivateFolder(tmpdir());
    try {
      const folder = join(scratch.path, 'manifests');
      mkdirSync(folder);
      const list = join(scratch.path, 'wanted');
      writePrivateFile(list, paths.map((path) => `${path}.json\n`).join(''));
      await runEngine(engine, {
        args: ['copy', ...always, '--files-from', list, repository, folder],
      });
      return new Map(paths.map((path) => [path, factsIn(join(folder, `${path}.json`))]));
    } finally {
      scratch.remove();
    }
  }

  async function filesThere(): Promise<v.InferOutput<typeof filesSchema>> {
    try {
      const json = await runEngine(engine, {
        args: [
          'lsjson',
          ...always,
          '-R',
          '--files-only',
          // From the listing itself, without a request for each file.
          '--use-server-modtime',
          '--no-mimetype',
          repository,
        ],
      });
      return answerOf(json, filesSchema, where);
    } catch (error) {
      // Such a folder, or bucket, is made by the first copy.
      const said = isBackupError(error) && error.cause instanceof Error ? error.cause.message : '';
      if (/directory not found|NoSuchBucket|bucket does not exist/i.test(said)) return [];
      throw error;
    }
  }
}

function addressOf(name: string, sha256: string): string {
  return `${sha256.slice(0, 12)}/${name}`;
}

function factsIn(file: string): Facts | null {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return null;
  const parsed = parseManifest(readFileSync(file, 'utf8'));
  if (parsed.kind !== 'manifest' && parsed.kind !== 'bundle') return null;
  const { sha256, sizeBytes, createdAt, after } = parsed.manifest;
  const database = databaseIdOf(parsed.manifest);
  return {
    ...{ sha256, sizeBytes, createdAt },
    ...(after !== undefined && { after }),
    ...(database !== undefined && { database }),
  };
}

/** What its manifest says, where size and address agree with it. */
function remoteOf(
  { Path, Name, Size }: v.InferOutput<typeof filesSchema>[number],
  facts: Facts | null | undefined,
): Remote | undefined {
  if (facts === undefined || facts === null) return undefined;
  if (facts.sizeBytes !== Size || !Path.startsWith(`${facts.sha256.slice(0, 12)}/`))
    return undefined;
  const { database, after, ...others } = facts;
  return {
    ...{ id: Path, name: Name, ...others },
    ...(after !== undefined && { after }),
    ...(database !== undefined && { database }),
  };
}
