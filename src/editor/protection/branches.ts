/** Databases follow the branch that is checked out in this window. Git's own hook does the same outside of it. */
import { join } from 'node:path';
import * as vscode from 'vscode';
import { fromPlainError } from '../../core/errors.ts';
import type { Synced, SyncRequest, SyncedDatabase } from '../../core/states/branches.ts';
import type { WorkerClient } from '../../worker/client.ts';
import { commands } from '../contributed.ts';
import { Disposables } from '../disposables.ts';
import { errorMessage } from '../errorMessages.ts';
import { notice } from '../inert.ts';
import type { Log } from '../log.ts';
import { databaseName } from '../messages.ts';
import type { Settings } from '../settings.ts';
import type { Checkpoints } from './checkpoints.ts';
import { Heads } from './heads.ts';
import type { Protection } from './protection.ts';
import { takingFor } from './taking.ts';

export interface BranchParts {
  checkpoints: Checkpoints;
  log: Log;
  /** Of all windows. */
  memory: vscode.Memento;
  protection: Protection;
  settings: Settings;
  toolVersion: string;
  worker: WorkerClient;
}

/** Of version 1 of the API of VS Code's extension for git, what is used here. */
interface Repository {
  rootUri: vscode.Uri;
  state: {
    HEAD?: { name?: string; commit?: string };
    onDidChange: vscode.Event<void>;
  };
  diffBetween: (one: string, other: string) => Promise<{ uri: vscode.Uri }[]>;
}
interface GitApi {
  repositories: Repository[];
  onDidOpenRepository: vscode.Event<Repository>;
  onDidCloseRepository: vscode.Event<Repository>;
}
interface GitExtension {
  getAPI: (version: 1) => GitApi;
}

const askedKey = 'branchesAsked';
const migrations = /(^|\/)(migrations?|migrate|alembic|versions|drizzle|prisma)\//i;

export class Branches implements vscode.Disposable {
  readonly #parts: BranchParts;
  readonly #owned = new Disposables();
  readonly #heads = new Heads();
  readonly #begun = new Set<string>();
  /** One at a time: a switch that comes meanwhile waits. */
  #queue: Promise<void> = Promise.resolve();

  constructor(parts: BranchParts) {
    this.#parts = parts;
    this.#owned.add(parts.settings.onDidChange(() => this.#begin()));
    this.#follow().catch((error: unknown) =>
      parts.log.error('Branches cannot be followed, because the extension for git fails', error),
    );
  }

  async #follow(): Promise<void> {
    const extension = vscode.extensions.getExtension<GitExtension>('vscode.git');
    if (extension === undefined) return;
    const api = (await extension.activate()).getAPI(1);
    const watch = (repository: Repository): void => {
      const root = repository.rootUri.fsPath;
      this.#heads.look(root, repository.state.HEAD ?? {});
      this.#begin();
      this.#owned.add(repository.state.onDidChange(() => this.#look(repository)));
    };
    this.#owned.add(api.onDidOpenRepository(watch));
    this.#owned.add(api.onDidCloseRepository(({ rootUri }) => this.#heads.forget(rootUri.fsPath)));
    api.repositories.forEach(watch);
  }

  /** The branch of now is remembered, so that the first switch has a name to keep by. */
  #begin(): void {
    if (this.#how() === 'off') return this.#begun.clear();
    for (const root of this.#heads.roots()) {
      if (this.#begun.has(root)) continue;
      this.#begun.add(root);
      this.#enqueue(() => this.#sync(root, 'keep', { isFirst: true }));
    }
  }

  #how(): 'off' | 'ask' | 'auto' {
    return vscode.workspace.isTrusted ? this.#parts.settings.branches() : 'off';
  }

  #look(repository: Repository): void {
    const root = repository.rootUri.fsPath;
    const before = this.#heads.look(root, { ...repository.state.HEAD });
    if (before === undefined) return;
    if (this.#how() === 'off')
      this.#enqueue(() => this.#offer(repository, before.commit, repository.state.HEAD?.commit));
    else this.#enqueue(() => this.#followSwitch(root));
  }

  /**
   * What is chosen, and checked out, counts when it is done: both may be others than when the switch was seen. A switch
   * that comes meanwhile has its own turn.
   */
  async #followSwitch(root: string): Promise<void> {
    const how = this.#how();
    if (how === 'ask') await this.#sync(root, 'keep');
    if (how === 'auto') await this.#sync(root, 'restore', { onlyTo: this.#heads.branchOf(root) });
  }

  #enqueue(action: () => Promise<void>): void {
    this.#queue = this.#queue.then(action).catch(this.#tellFailure);
  }

  readonly #tellFailure = (error: unknown): void =>
    this.#parts.log.error('Databases do not follow the branch', error);

  /** Once, at the first switch that changes migrations, where nothing was chosen. */
  async #offer(
    repository: Repository,
    before: string | undefined,
    now: string | undefined,
  ): Promise<void> {
    const { memory, settings } = this.#parts;
    if (before === undefined || now === undefined || settings.isBranchesChosen()) return;
    if (!vscode.workspace.isTrusted || memory.get(askedKey) === true) return;
    const changes = await repository.diffBetween(before, now);
    if (!changes.some(({ uri }) => migrations.test(uri.path))) return;
    await memory.update(askedKey, true);
    const { t } = vscode.l10n;
    const [ask, auto] = [t('Ask Each Time'), t('Switch Automatically')];
    const question = t(
      'This branch has other migrations. Keep a state of the databases for each branch, and bring it back after a switch?',
    );
    const follow = async (how: 'ask' | 'auto'): Promise<void> => {
      await settings.remember('branches', how);
      this.#enqueue(() => this.#sync(repository.rootUri.fsPath, 'keep', { isFirst: true }));
    };
    // Not awaited: the next switch does not wait for the answer.
    notice
      .info(question, ask, auto, t('No'))
      .then(
        (answer) =>
          answer === ask || answer === auto
            ? follow(answer === auto ? 'auto' : 'ask').catch(this.#tellFailure)
            : undefined,
        this.#tellFailure,
      );
  }

  async #sync(
    root: string,
    how: SyncRequest['how'],
    { isFirst = false, onlyTo }: { isFirst?: boolean; onlyTo?: string | undefined } = {},
  ): Promise<void> {
    const { checkpoints, log, protection, settings, toolVersion, worker } = this.#parts;
    if (protection.pausedUntil !== undefined) return;
    const call = worker.call('syncBranches', {
      ...{ in: root, how, onlyTo, copies: false },
      taking: {
        ...takingFor(settings, toolVersion),
        cause: { kind: 'branch' },
        trigger: 'task',
      },
    });
    const synced = await call.catch((error: unknown) => {
      this.#heads.again(root);
      throw error;
    });
    const { state, from, to, databases } = synced;
    // A merge right after the switch: when it is over, git tells of the same branch.
    if (state === 'busy') this.#heads.again(root);
    if (state !== 'switched') return;
    log.info(
      `Branch ${from} to ${to}: ${databases.map((one) => `${one.path} ${one.outcome}`).join(', ')}`,
    );
    await checkpoints.refresh();
    if (!isFirst || databases.some(({ outcome }) => outcome === 'wanted')) this.#tell(root, synced);
  }

  /** A message may stay open: neither the next switch nor another message waits for it. */
  #tell(root: string, { from = '', to = '', databases }: Synced): void {
    const { t } = vscode.l10n;
    const nameOf = ({ path }: SyncedDatabase): string =>
      databaseName(vscode.Uri.file(join(root, path)));
    const those = (outcome: SyncedDatabase['outcome']): SyncedDatabase[] =>
      databases.filter((one) => one.outcome === outcome);
    const listed = (some: readonly SyncedDatabase[]): string => some.map(nameOf).join(', ');
    // The question may be answered after the next switch.
    const again = (): void => this.#enqueue(() => this.#sync(root, 'restore', { onlyTo: to }));
    const [restored, wanted] = [those('restored'), those('wanted')];
    const behind = [...those('held'), ...those('failed')];
    if (restored.length > 0) {
      const text = t('{0}: the state of the branch {1} is back.', listed(restored), to);
      this.#ask(notice.info, text, t('Undo…'), () => this.#undo(restored));
    }
    if (wanted.length > 0) {
      const text = t(
        '{0}: still the state of the branch {1}. Bring back that of {2}?',
        ...[listed(wanted), from, to],
      );
      this.#ask(notice.info, text, t('Bring Back'), again);
    }
    const troubles = behind.map((one) => {
      const error =
        one.error === undefined ? '' : errorMessage(fromPlainError(one.error), nameOf(one));
      return t('{0}: still the state of the branch {1}. {2}', nameOf(one), from, error);
    });
    if (troubles.length > 0) this.#ask(notice.warn, troubles.join(' '), t('Try Again'), again);
  }

  /** Shows a message with one answer, and waits for nothing. */
  #ask(
    show: (typeof notice)['info'],
    text: string,
    answer: string,
    action: () => void | Promise<void>,
  ): void {
    show(text, answer)
      .then((given) => (given === answer ? action() : undefined))
      .catch(this.#tellFailure);
  }

  /** Opens the page of a restore for what lay there before. */
  async #undo(restored: readonly SyncedDatabase[]): Promise<void> {
    const { settings, worker } = this.#parts;
    const { folder } = settings.protection();
    for (const { kept } of restored) {
      if (kept === undefined) continue;
      const named = { named: kept, ...(folder !== undefined && { checkpoints: folder }) };
      const path = await worker.call('findCheckpoint', named);
      await vscode.commands.executeCommand(commands.restore, vscode.Uri.file(path));
    }
  }

  dispose(): void {
    this.#owned.dispose();
  }
}
