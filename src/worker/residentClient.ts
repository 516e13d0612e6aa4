/** A face's way to the resident worker: the one that is there, else one that it starts. */
import { fork } from 'node:child_process';
import { createConnection, type Socket } from 'node:net';
import { BackupError, cancelled, fromPlainError } from '../core/errors.ts';
import type { Method, Params, Result } from './protocol.ts';
import {
  type Address,
  linesOf,
  parseAnswer,
  readAddress,
  type ResidentAnswer,
  type ResidentMethod,
  residentMethods,
  residentRole,
  type Withdrawal,
  world,
} from './residentProtocol.ts';

export interface ResidentOptions {
  /** The worker's entry. */
  entry: string;
  /** It ends after so many ms without work. */
  idleMs?: number;
  /** Without it, only one that runs is asked. */
  mayStart?: boolean;
}

interface Patience {
  beginWithinMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

const defaultIdleMs = 120_000;
const startMs = 15_000;
/** A process that runs says at once whether a call has begun. */
const withdrawnWithinMs = 500;

export class ResidentClient {
  readonly #entry: string;
  readonly #idleMs: number;
  readonly #mayStart: boolean;
  #connecting: Promise<Connection> | undefined;
  #isDisposed = false;

  constructor({ entry, idleMs = defaultIdleMs, mayStart = true }: ResidentOptions) {
    this.#entry = entry;
    this.#idleMs = idleMs;
    this.#mayStart = mayStart;
  }

  static answers(method: Method): method is ResidentMethod {
    return (residentMethods as readonly Method[]).includes(method);
  }

  /**
   * Rejects with a BackupError: the worker's own, or `worker-died` when there is no way to one.
   * @param beginWithinMs What has not begun by then is withdrawn, and rejects with `deadline`. What has begun is waited for.
   * @param signal The same at once, and it rejects with `cancelled`. A restore that has begun ends so too, until it replaces.
   */
  async call<M extends ResidentMethod>(
    method: M,
    params: Params<M>,
    { beginWithinMs, signal }: Patience = {},
  ): Promise<Result<M>> {
    const ask = async (): Promise<Heard | undefined> => {
      const connection = await this.#connect();
      return signal?.aborted === true
        ? { id: 0, withdrawn: true }
        : connection.ask(method, params, { beginWithinMs, signal });
    };
    // It may end in the moment in which it is asked; each call can be done twice.
    const answer = (await ask()) ?? (await ask());
    if (answer?.withdrawn === true && signal?.aborted === true)
      throw answer.isUnheard === true ? unheard() : cancelled();
    if (answer?.withdrawn === true)
      throw new BackupError('deadline', 'The resident worker has no time now.', {
        facts: { deadlineMs: beginWithinMs ?? 0 },
      });
    if (answer === undefined)
      throw new BackupError('worker-died', 'The resident worker ended unexpectedly.', {
        hint: 'Try again.',
      });
    if (answer.error !== undefined) throw fromPlainError(answer.error);
    return answer.ok as Result<M>;
  }

  /** What is not answered yet is rejected. */
  dispose(): void {
    this.#isDisposed = true;
    void this.#connecting?.then(
      (connection) => connection.end(),
      () => undefined,
    );
  }

  #connect(): Promise<Connection> {
    const connecting = this.#connecting ?? this.#open();
    this.#connecting = connecting;
    const forget = (): void => {
      if (this.#connecting === connecting) this.#connecting = undefined;
    };
    void connecting.then(({ closed }) => closed.then(forget), forget);
    return connecting;
  }

  async #open(): Promise<Connection> {
    if (this.#isDisposed) throw new BackupError('worker-died', 'The conversation was ended.');
    const known = readAddress();
    if (known?.entry === this.#entry && known.world === world()) {
      try {
        return await Connection.to(known);
      } catch {
        // It has ended, or was killed.
      }
    }
    if (!this.#mayStart) throw new BackupError('worker-died', 'No resident worker runs.');
    return Connection.to(await this.#start());
  }

  #start(): Promise<Address> {
    const child = fork(this.#entry, [], {
      execArgv: [],
      env: { ...process.env, ELECTRON_RUN_AS_NODE: '1', [residentRole]: String(this.#idleMs) },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      detached: true,
    });
    return new Promise((resolve, reject) => {
      const fail = (why: string): void =>
        reject(new BackupError('worker-died', `The resident worker did not start (${why}).`));
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        fail(`not ready after ${startMs / 1000} s`);
      }, startMs);
      child.once('error', ({ message }) => fail(message));
      child.once('exit', (code) => {
        const ended = (): void => fail(`exit code ${code}`);
        // Its last message may come after its end: that another one serves already.
        if (child.connected) child.once('disconnect', ended);
        else ended();
      });
      child.once('message', (address) => {
        clearTimeout(timer);
        child.unref();
        resolve(address as Address);
      });
    });
  }
}

/** `isUnheard`: whether it has begun is not known. */
type Heard = ResidentAnswer & { isUnheard?: boolean };

function unheard(): BackupError {
  return new BackupError(
    'cancelled',
    'The resident worker does not answer. What it had begun, it may finish later.',
  );
}

class Connection {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (answer: ResidentAnswer | undefined) => void>();
  /** Withdrawn requests of which nothing is heard yet. */
  readonly #unheard = new Set<number>();
  #lastId = 0;
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    const onLine = (line: string): void => {
      const answer = parseAnswer(line);
      if (answer === undefined) return;
      this.#unheard.delete(answer.id);
      // It has begun: its answer comes.
      if (answer.withdrawn === false) return;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    };
    socket.setEncoding('utf8');
    // A list of checkpoints may be long.
    socket.on(
      'data',
      linesOf(onLine, () => socket.destroy(), 200_000_000),
    );
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    void this.closed.then(() => {
      for (const settle of this.#waiting.values()) settle(undefined);
    });
  }

  static to({ socket: path, token }: Address): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path, () => {
        socket.write(`${JSON.stringify({ token })}\n`);
        // An idle connection keeps this process no longer than its own work.
        socket.unref();
        resolve(new Connection(socket));
      });
      socket.on('error', reject);
    });
  }

  /** Undefined when the resident worker has ended. */
  async ask(
    method: ResidentMethod,
    params: unknown,
    { beginWithinMs, signal }: Patience,
  ): Promise<Heard | undefined> {
    if (this.#socket.destroyed) return undefined;
    const id = ++this.#lastId;
    this.#socket.ref();
    let timer: NodeJS.Timeout | undefined;
    let withdraw: () => void = () => undefined;
    const answer = await new Promise<Heard | undefined>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.write(`${JSON.stringify({ id, method, params })}\n`);
      withdraw = () => {
        clearTimeout(timer);
        this.#unheard.add(id);
        const wish = { withdraw: id, begun: signal?.aborted === true } satisfies Withdrawal;
        this.#socket.write(`${JSON.stringify(wish)}\n`);
        timer = setTimeout(() => {
          if (!this.#unheard.delete(id)) return;
          // It is stopped. When it goes on it reads the request and the wish together, and does nothing.
          this.#waiting.delete(id);
          resolve({ id, withdrawn: true, isUnheard: true });
        }, withdrawnWithinMs);
      };
      signal?.addEventListener('abort', withdraw, { once: true });
      if (beginWithinMs !== undefined) timer = setTimeout(withdraw, beginWithinMs);
    });
    clearTimeout(timer);
    signal?.removeEventListener('abort', withdraw);
    if (this.#waiting.size === 0) this.#socket.unref();
    return answer;
  }

  end(): void {
    this.#socket.destroy();
  }
}
