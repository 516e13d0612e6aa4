/** The hook's way to what uses SQLite: the resident worker when the editor has one, else a process of its own. */
import { isBackupError } from '../core/errors.ts';
import type { CallOptions, WorkerClient } from '../worker/client.ts';
import type { Method, Params, Result } from '../worker/protocol.ts';
import { ResidentClient } from '../worker/residentClient.ts';

type Caller = Pick<WorkerClient, 'call'>;

/** A resident worker that is busy or stopped must not use up the time of the agent. */
const residentAnswersWithinMs = 4000;

export class ResidentFirst implements Caller {
  readonly #alone: Caller;
  readonly #resident: ResidentClient;

  /** The entry is that of this version: one of another version is not asked. */
  constructor(alone: Caller, entry: string) {
    this.#alone = alone;
    this.#resident = new ResidentClient({ entry, mayStart: false });
  }

  async call<M extends Method>(
    method: M,
    params: Params<M>,
    options?: CallOptions,
  ): Promise<Result<M>> {
    const answered = ResidentClient.answers(method)
      ? ((await this.#ask(method, params as never)) as { ok: Result<M> } | undefined)
      : undefined;
    return answered === undefined ? this.#alone.call(method, params, options) : answered.ok;
  }

  dispose(): void {
    this.#resident.dispose();
  }

  /** Undefined when there is none, when it ends meanwhile, and when it is not done in time. */
  async #ask(
    ...[method, params]: Parameters<ResidentClient['call']>
  ): Promise<{ ok: unknown } | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), residentAnswersWithinMs);
    });
    try {
      const call = this.#resident.call(method, params).then((ok) => ({ ok }));
      return await Promise.race([call, late]);
    } catch (error) {
      if (isBackupError(error) && error.code === 'worker-died') return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}
