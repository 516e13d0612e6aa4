/** The hook's way to what uses SQLite: the resident worker when the editor has one, else a process of its own. */
import { BackupError, isBackupError } from '../core/errors.ts';
import type { CallOptions, WorkerClient } from '../worker/client.ts';
import type { Method, Params, Result } from '../worker/protocol.ts';
import { ResidentClient } from '../worker/residentClient.ts';

type Caller = Pick<WorkerClient, 'call'>;

/** A resident worker that is busy or stopped must not use up the time of the agent. */
const residentBeginsWithinMs = 4000;

export class ResidentFirst implements Caller {
  readonly #alone: Caller;
  readonly #resident: ResidentClient;
  readonly #beginWithinMs: number;

  /** The entry is that of this version: one of another version is not asked. */
  constructor(
    alone: Caller,
    { entry, beginWithinMs = residentBeginsWithinMs }: { entry: string; beginWithinMs?: number },
  ) {
    this.#alone = alone;
    this.#resident = new ResidentClient({ entry, mayStart: false });
    this.#beginWithinMs = beginWithinMs;
  }

  async call<M extends Method>(
    method: M,
    params: Params<M>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    const answered = ResidentClient.answers(method)
      ? ((await this.#ask(options, method, params as never)) as { ok: Result<M> } | undefined)
      : undefined;
    return answered === undefined ? this.#alone.call(method, params, options) : answered.ok;
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
    const call = this.#resident
      .call(method, params, { beginWithinMs: this.#beginWithinMs })
      .then((ok) => ({ ok }))
      .catch((error: unknown) => {
        if (isBackupError(error) && fallsBack.has(error.code)) return undefined;
        throw error;
      });
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
