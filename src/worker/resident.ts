/*
 * The resident worker: a process that reads stamps and never loads SQLite, with one warm child that does. A checkpoint of
 * what is unchanged costs a few milliseconds, and a small one no start of a process. It runs the worker's own entry, so
 * that no second bundle has to be found. Jobs that can take long get a process of their own. It ends when nothing is
 * asked of it for a while; a second one finds the first and ends.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CheckpointRequest, Checkpoints } from '../core/checkpoint/checkpoint.ts';
import { readStamp } from '../core/checkpoint/stamp.ts';
import { checkpointsFolder, type StoredCheckpoint, storedIn } from '../core/checkpoint/store.ts';
import { BackupError, isBackupError, toPlainError } from '../core/errors.ts';
import { makeDataFolder } from '../core/files/dataFolder.ts';
import { realPathOf } from '../core/files/paths.ts';
import { linkWithoutOverwriting, writePrivateFile } from '../core/files/publish.ts';
import { isAlive, sweepLeftovers } from '../core/files/workplace.ts';
import { manifestNameOf } from '../core/manifest/names.ts';
import type { RestoreBaselineRequest } from '../core/states/baseline.ts';
import { WorkerClient } from './client.ts';
import type { Params } from './protocol.ts';
import {
  type Address,
  addressPath,
  linesOf,
  parseRequest,
  parseToken,
  parseWithdrawal,
  readAddress,
  residentRole,
  type ResidentRequest,
  type Withdrawal,
  world,
} from './residentProtocol.ts';
import { WarmWorker } from './warmWorker.ts';

/** True in the resident worker: then nothing else is to be started in it. */
export function isResident(): boolean {
  return process.env[residentRole] !== undefined;
}

/** More than this together takes a while: such a checkpoint holds up no other one. */
const mostWarmBytes = 256e6;
/** The same before a command that has begun: it is held at once, and others wait. */
const mostUrgentBytes = 1e9;
const callMs = 60_000;
const killed: ReadonlySet<string> = new Set(['worker-died', 'deadline']);
const urgentMs = 300_000;
/** So long after the last request, what is not proved yet is looked at. */
const quietMs = 3000;
/** A socket's path must fit into so many bytes, and more on no system. */
const longestSocketPath = 100;

const ownFolder = join(tmpdir(), 'sqlite-backup-resident-');

/** Where a database stands: the state that a checkpoint has. */
interface Known {
  stamp: string;
  id: string;
  path: string;
  /** Of its file and its manifest: a check that finds damage writes to that. */
  looks: string;
}

export function serveResident(entry: string): void {
  const idleMs = Number(process.env[residentRole]);
  // What is started from here is another kind of process.
  delete process.env[residentRole];
  const warm = new WarmWorker(entry, 'captures');
  const resident = new Resident(warm, new WorkerClient({ entry }));
  const address = makeAddress(entry);
  let idle: NodeJS.Timeout | undefined;
  const end = (): void => {
    warm.end();
    if (readAddress()?.pid === process.pid) rmSync(addressPath(), { force: true });
    rmSync(address.socket, { force: true });
    const folder = dirname(address.socket);
    // One of its own, where the path of the data folder is too long for a socket.
    if (folder.startsWith(ownFolder)) rmSync(folder, { recursive: true, force: true });
    process.exit(0);
  };
  const stayAwake = (): void => {
    clearTimeout(idle);
    idle = setTimeout(() => (resident.isBusy ? stayAwake() : end()), idleMs);
  };
  const server = createServer((socket) => converse(socket, address.token, resident, stayAwake));
  server.once('error', () => process.exit(1));
  server.listen(address.socket, () => {
    if (process.platform !== 'win32') chmodSync(address.socket, 0o600);
    const ready = (found: Address): void => {
      const isFirst = found.pid === process.pid;
      if (isFirst) warm.warm();
      // The face may be gone meanwhile.
      const told = (): void => {
        if (!isFirst) end();
        else if (process.connected) process.disconnect();
      };
      if (process.connected) process.send?.(found, told);
      else told();
    };
    publish(address).then(ready, end);
    stayAwake();
  });
}

function makeAddress(entry: string): Address {
  const token = randomBytes(32).toString('hex');
  const runtime = makeDataFolder('runtime');
  const name = `resident-${process.pid}.sock`;
  sweepSockets(runtime);
  const path = join(runtime, name);
  const socket =
    process.platform === 'win32'
      ? `\\\\.\\pipe\\sqlite-backup-${randomBytes(16).toString('hex')}`
      : Buffer.byteLength(path) <= longestSocketPath
        ? path
        : // Only this user may enter such a folder.
          join(mkdtempSync(ownFolder), name);
  return { socket, token, pid: process.pid, entry, world: world() };
}

/** What killed ones have left. */
function sweepSockets(runtime: string): void {
  for (const name of readdirSync(runtime)) {
    const [, pid] = /^resident-(\d+)\.(?:sock|json)$/.exec(name) ?? [];
    if (pid !== undefined && !(isAlive(Number(pid)) && Number(pid) !== process.pid))
      rmSync(join(runtime, name), { force: true });
  }
}

/** Makes this one found, unless there is another of the same version that answers: its address. */
async function publish(address: Address): Promise<Address> {
  const scratch = join(addressPath(), '..', `resident-${process.pid}.json`);
  try {
    writePrivateFile(scratch, `${JSON.stringify(address)}\n`);
    for (;;) {
      try {
        linkWithoutOverwriting(scratch, addressPath());
        return address;
      } catch (error) {
        if (!(error instanceof Error && Reflect.get(error, 'code') === 'EEXIST')) throw error;
      }
      const other = readAddress();
      const isSame = other?.entry === address.entry && other.world === address.world;
      if (isSame && (await answers(other))) return other;
      rmSync(addressPath(), { force: true });
    }
  } finally {
    rmSync(scratch, { force: true });
  }
}

function answers({ socket }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket, () => resolve(true));
    connection.once('error', () => resolve(false));
    connection.once('close', () => resolve(false));
    connection.once('connect', () => connection.destroy());
  });
}

function converse(socket: Socket, token: string, resident: Resident, stayAwake: () => void): void {
  let isKnown = false;
  /** Requests that have no answer. */
  const open = new Map<number, Wish>();
  const withdraw = ({ withdraw: id, begun = false }: Withdrawal): boolean => {
    const wish = open.get(id);
    if (wish === undefined) return false;
    if (begun || !wish.hasBegun) wish.isWanted = false;
    return !wish.hasBegun;
  };
  const answer = (message: object): void => {
    if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
  };
  const onLine = (line: string): void => {
    if (!isKnown) {
      isKnown = isSame(parseToken(line) ?? '', token);
      if (!isKnown) socket.destroy();
      return;
    }
    const withdrawn = parseWithdrawal(line);
    if (withdrawn !== undefined)
      return answer({ id: withdrawn.withdraw, withdrawn: withdraw(withdrawn) });
    const request = parseRequest(line);
    if (request === undefined) return void socket.destroy();
    stayAwake();
    const { id, method } = request;
    const wish: Wish = { hasBegun: false, isWanted: true, isForFace: method === 'restoreBaseline' };
    open.set(id, wish);
    const settle = (message: object): void => {
      open.delete(id);
      // What was withdrawn before it began is answered.
      if (wish.hasBegun || wish.isWanted) answer({ id, ...message });
    };
    // After all lines that have come by now: a process that was stopped meanwhile does nothing that is withdrawn.
    setImmediate(() => {
      if (!wish.isWanted) return void open.delete(id);
      resident.serve(request, wish).then(
        (ok) => settle({ ok }),
        (error: unknown) => settle({ error: toPlainError(error) }),
      );
    });
  };
  socket.setEncoding('utf8');
  socket.on(
    'data',
    linesOf(onLine, () => socket.destroy()),
  );
  socket.on('error', () => socket.destroy());
  // A checkpoint is of use to all. A restore is not, when the one that asked for it has been ended.
  socket.once('close', () => {
    for (const wish of open.values()) if (wish.isForFace) wish.isWanted = false;
  });
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

interface Wish {
  hasBegun: boolean;
  isWanted: boolean;
  /** It ends with the face, until it replaces something. */
  isForFace: boolean;
}

class Resident {
  readonly #warm: WarmWorker;
  readonly #alone: WorkerClient;
  /** By folder of checkpoints and real path of the database. */
  readonly #known = new Map<string, Known>();
  /** Checkpoints of which the check has told nothing new. */
  readonly #looked = new Set<string>();
  readonly #folders = new Set<string>();
  #running = 0;
  #quiet: NodeJS.Timeout | undefined;
  #isProving = false;

  constructor(warm: WarmWorker, alone: WorkerClient) {
    this.#warm = warm;
    this.#alone = alone;
  }

  get isBusy(): boolean {
    return this.#running > 0 || this.#isProving;
  }

  async serve({ method, params }: ResidentRequest, wish: Wish): Promise<unknown> {
    this.#running += 1;
    // Called before what takes time.
    const begin = (): boolean => (wish.hasBegun = wish.isWanted);
    try {
      if (method === 'checkpoint')
        return await this.#checkpoint(params as CheckpointRequest, begin);
      if (method === 'restoreBaseline')
        return await this.#restore(params as RestoreBaselineRequest, begin, () => wish.isWanted);
      return await this.#warm.call(method, params as Params<typeof method>, callMs, begin);
    } finally {
      this.#running -= 1;
      this.#proveWhenQuiet();
    }
  }

  async #checkpoint(request: CheckpointRequest, begin: () => boolean): Promise<Checkpoints> {
    const folder = checkpointsFolder(request.checkpoints);
    this.#folders.add(folder);
    const unchanged: Checkpoints['unchanged'] = [];
    const stamps = new Map<string, string>();
    const wanted = request.databases.filter(({ database }) => {
      const real = realPathOf(database);
      const { text, isSettled } = readStamp(real);
      if (isSettled) stamps.set(real, text);
      const known = this.#known.get(`${folder}\0${real}`);
      if (request.force || known?.stamp !== text || looksOf(known.path) !== known.looks)
        return true;
      unchanged.push({ database: real, id: known.id, path: known.path });
      return false;
    });
    if (wanted.length === 0) return { checkpoints: [], unchanged, failures: [] };
    const bytes = wanted.reduce((sum, { database }) => sum + (sizeOf(database) ?? 0), 0);
    const params = { ...request, databases: wanted };
    const isUrgent = request.began !== undefined;
    const isLarge = bytes > (isUrgent ? mostUrgentBytes : mostWarmBytes);
    if (isLarge) begin();
    const result = isLarge
      ? await this.#alone.call('checkpoint', params)
      : await this.#warm.call('checkpoint', params, isUrgent ? urgentMs : callMs, begin);
    for (const { database, id, path } of [...result.checkpoints, ...result.unchanged]) {
      const stamp = stamps.get(database);
      const looks = looksOf(path);
      const key = `${folder}\0${database}`;
      // The stamp was read before the pin: what was written since then makes another one.
      if (stamp === undefined || looks === undefined) this.#known.delete(key);
      else this.#known.set(key, { stamp, id, path, looks });
    }
    return { ...result, unchanged: [...unchanged, ...result.unchanged] };
  }

  /** With a large one, the face has to do it in a process of its own, that shows progress. */
  async #restore(
    request: RestoreBaselineRequest,
    ...wanted: [begin: () => boolean, mayPublish: () => boolean]
  ): Promise<unknown> {
    const { name, items, taking } = request;
    const { target = '' } = items[0] ?? {};
    const sizes = storedIn(checkpointsFolder(taking.checkpoints))
      .filter(({ manifest }) => manifest.baseline?.name === name)
      .map(({ manifest }) => manifest.sizeBytes);
    if (Math.max(sizeOf(target) ?? 0, ...sizes) > mostWarmBytes)
      throw new BackupError('deadline', 'The database is too large for the resident worker.');
    try {
      return await this.#warm.call('restoreBaseline', request, callMs, ...wanted);
    } catch (error) {
      if (isBackupError(error) && killed.has(error.code)) await this.#cleanUpIn(dirname(target));
      throw error;
    }
  }

  /** A killed process cannot tidy up. When another has looked at its lock files, it is gone for certain. */
  async #cleanUpIn(folder: string): Promise<void> {
    try {
      await this.#alone.call('sweepClaims', { in: [folder] }, { deadlineMs: callMs });
      await sweepLeftovers(folder);
    } catch {
      // The next restore there does.
    }
  }

  #proveWhenQuiet(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => void this.#proveNext(), quietMs);
  }

  /** SQLite's check of one checkpoint that has had none, in a process of its own; then of the next. */
  async #proveNext(): Promise<void> {
    if (this.isBusy) return;
    const next = [...this.#folders]
      .flatMap((folder) => storedOrNone(folder).map((one) => ({ ...one, folder })))
      .find(
        ({ path, manifest, isUsable }) =>
          isUsable && manifest.verdict.status === 'unchecked' && !this.#looked.has(path),
      );
    if (next === undefined) return;
    this.#looked.add(next.path);
    this.#isProving = true;
    try {
      const { path, folder } = next;
      await this.#alone.call('verify', { path, folder, drill: false }, { deadlineMs: 600_000 });
    } catch {
      // It stays "not proved yet", which is the truth; the next resident worker tries again.
    } finally {
      this.#isProving = false;
    }
    if (this.#running === 0) this.#proveWhenQuiet();
  }
}

/** What cannot be listed now is looked at the next time. */
function storedOrNone(folder: string): StoredCheckpoint[] {
  try {
    return storedIn(folder);
  } catch {
    return [];
  }
}

/** Undefined when one of the two is gone. */
function looksOf(path: string): string | undefined {
  try {
    const parts = [path, manifestNameOf(path)].map((one) => statSync(one, { bigint: true }));
    return parts.map(({ ino, size, mtimeNs }) => [ino, size, mtimeNs].join()).join(' ');
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number | undefined {
  try {
    return statSync(path).size;
  } catch {
    return undefined;
  }
}
