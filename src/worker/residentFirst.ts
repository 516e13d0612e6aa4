/** A face's way to what uses SQLite: the resident worker where there is one, else a process of its own. */
import { BackupError, isBackupError } from '../core/errors.ts';
import { type Translate, translateAnswer, translateError } from '../core/sentences.ts';
import type { CallOptions, WorkerClient } from './client.ts';
import type { Method, Params, Result } from './protocol.ts';
import { ResidentClient } from './residentClient.ts';

type Caller = Pick<WorkerClient, 'call'>;

/** A resident worker that is busy or stopped must not use up the time of an agent, or of a test. */
const defaultBeginWithinMs = 4000;

export interface ResidentFirstOptions {
  /** Of this version: a resident worker of another one is not asked. */
  entry: string;
  beginWithinMs?: number;
  /** Where there is none, it is started. */
  mayStart?: boolean;
  /** As in `WorkerOptions`. */
  translate?: Translate | undefined;
}

export class ResidentFirst implements Caller {
  readonly #alone: Caller;
  readonly #resident: ResidentClient;
  readonly #beginWithinMs: number;
  readonly #translate: Translate | undefined;

  constructor(
    alone: Caller,
    {
      entry,
      beginWithinMs = defaultBeginWithinMs,
      mayStart = false,
      translate,
    }: ResidentFirstOptions,
  ) {
    this.#alone = alone;
    this.#resident = new ResidentClient({ entry, mayStart });
    this.#beginWithinMs = beginWithinMs;
    this.#translate = translate;
  }

  async call<M extends Method>(
    method: M,
    params: Params<M>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    const answered = ResidentClient.answers(method)
      ? ((await this.#ask(options, method, params as never)) as { ok: Result<M> } | undefined)
      : undefined;
    if (answered === undefined) return this.#alone.call(method, params, options);
    return this.#translate === undefined
      ? answered.ok
      : translateAnswer(answered.ok, this.#translate);
  }

  dispose(): void {
    this.#resident.dispose();
  }

  /**
   * Undefined when there is none, when it ends meanwhile, and when it does not begin in time. What it has begun is waited
   * for: a second process would do the same beside it, and could keep the same state twice.
   */
  async #ask(
    { signal, deadlineMs }: CallOptions,
    ...[method, params]: Parameters<ResidentClient['call']>
  ): Promise<{ ok: unknown } | undefined> {
    const giveUp = [signal, deadlineMs === undefined ? undefined : AbortSignal.timeout(deadlineMs)];
    const given = AbortSignal.any(giveUp.filter((one) => one !== undefined));
    const isRestore = method === 'restoreBaseline';
    const call = this.#resident
      .call(method, params, {
        beginWithinMs: this.#beginWithinMs,
        ...(isRestore && { signal: given }),
      })
      .then((ok) => ({ ok }))
      .catch((error: unknown) => {
        if (isBackupError(error) && fallsBack.has(error.code)) return undefined;
        throw this.#translate === undefined ? error : translateError(error, this.#translate);
      });
    // What was replaced or not has to be known.
    if (isRestore) return call;
    const late = new Promise<never>((_, reject) => {
      const stop = (): void =>
        reject(new BackupError('cancelled', 'The resident worker was not waited for any longer.'));
      if (given.aborted) stop();
      else given.addEventListener('abort', stop, { once: true });
    });
    return Promise.race([call, late]);
  }
}

const fallsBack: ReadonlySet<string> = new Set(['worker-died', 'deadline']);
