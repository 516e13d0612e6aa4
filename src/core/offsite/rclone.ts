/** rclone: plain files on some 70 kinds of storage. A copy lies at `<first 12 of its SHA-256>/<name>`. */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { makePrivateFolder } from '../files/workplace.ts';
import { longestBundleManifestBytes, parseManifest } from '../manifest/manifest.ts';
import type { Driver, Remote } from './driver.ts';
import { type Engine, runEngine } from './engine.ts';
import { isAtLeast, parseJson } from './restic.ts';
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

const filesSchema = v.array(v.object({ Path: v.string(), Name: v.string(), Size: v.number() }));
const statsSchema = v.object({ stats: v.object({ bytes: v.number() }) });

export async function rcloneDriver(engine: Engine): Promise<Driver> {
  const { name, repository } = engine.destination;
  const where = { name, engine: 'rclone' };
  const text = await runEngine(engine, { args: ['version'] });
  const version = /^rclone v(\d+\.\d+(?:\.\d+)?)/m.exec(text)?.[1];
  if (version === undefined || !isAtLeast(version, oldest))
    throw trouble('too-old', where, `${version ?? text.slice(0, 80)}, not ${oldest.join('.')}`);
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
    async exists() {
      await filesThere();
      return true;
    },
    create: () => Promise.resolve(),
    async list() {
      const files = await filesThere();
      const sizes = new Map(files.map(({ Path, Size }) => [Path, Size]));
      const pairs = files.filter(
        ({ Path, Size }) =>
          /^[0-9a-f]{12}\/[^/]+$/.test(Path) && sizes.has(`${Path}.json`) && Size > 0,
      );
      if (pairs.length === 0) return [];
      const scratch = makePrivateFolder(tmpdir());
      try {
        const folder = join(scratch.path, 'manifests');
        mkdirSync(folder);
        await runEngine(engine, {
          args: [
            ...['copy', ...always, '--include', '/????????????/*.json'],
            ...['--max-size', String(longestBundleManifestBytes), repository, folder],
          ],
        });
        return pairs
          .flatMap((pair) => remoteOf(pair, folder) ?? [])
          .sort((a, b) => b.createdAt.localeCompare(a.createdAt));
      } finally {
        scratch.remove();
      }
    },
    async send({ folder, name: file, manifest, again = false }, onProgress) {
      const path = `${manifest.sha256.slice(0, 12)}/${file}`;
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

  async function filesThere(): Promise<v.InferOutput<typeof filesSchema>> {
    try {
      const json = await runEngine(engine, {
        args: [
          'lsjson',
          ...always,
          '-R',
          '--files-only',
          '--no-modtime',
          '--no-mimetype',
          repository,
        ],
      });
      return v.parse(filesSchema, JSON.parse(json));
    } catch (error) {
      // Such a folder, or bucket, is made by the first copy.
      const said = isBackupError(error) && error.cause instanceof Error ? error.cause.message : '';
      if (/directory not found|NoSuchBucket|bucket does not exist/i.test(said)) return [];
      throw error;
    }
  }
}

/** What its manifest says, where size and address agree with it. */
function remoteOf(
  { Path, Name, Size }: v.InferOutput<typeof filesSchema>[number],
  folder: string,
): Remote | undefined {
  const file = join(folder, `${Path}.json`);
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  const parsed = parseManifest(readFileSync(file, 'utf8'));
  if (parsed.kind !== 'manifest' && parsed.kind !== 'bundle') return undefined;
  const { sha256, sizeBytes, createdAt } = parsed.manifest;
  if (sizeBytes !== Size || !Path.startsWith(`${sha256.slice(0, 12)}/`)) return undefined;
  const database = databaseIdOf(parsed.manifest);
  return {
    ...{ id: Path, name: Name, createdAt, sha256, sizeBytes },
    ...(database !== undefined && { database }),
  };
}
