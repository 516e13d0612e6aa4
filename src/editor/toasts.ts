/*
 * VS Code stacks notifications and cannot take one back. So they are shown one at a time: a newer one puts the older into
 * the notification center, where it still can be read and answered.
 */
import * as vscode from 'vscode';

/** VS Code takes a toast away after 10 to 15 seconds with the focus in the window. */
const shownForMs = 15_000;

type Answer = string | undefined;

class Toast {
  readonly answered = Promise.withResolvers<Answer>();
  readonly show: () => Thenable<Answer>;
  readonly isNotice: boolean;
  /** VS Code does not take it away by itself. */
  readonly stays: boolean;
  /** True until it is answered or closed, also in the notification center. */
  isOpen = true;
  #showings = 0;

  constructor(show: () => Thenable<Answer>, { isNotice = false, stays = false }) {
    this.show = show;
    this.isNotice = isNotice;
    this.stays = stays;
  }

  /** Resolves when it is closed. VS Code closes one that is shown again, and only the newest showing counts. */
  async appear(): Promise<void> {
    const showing = ++this.#showings;
    try {
      const answer = await this.show();
      // It was closed because it is shown again.
      if (showing !== this.#showings) return;
      this.answered.resolve(answer);
    } catch (error) {
      this.answered.reject(error instanceof Error ? error : new Error(String(error)));
    }
    this.isOpen = false;
  }
}

class Toasts {
  /** What is on the screen now, as far as is known. */
  #shown: Toast | undefined;
  /** True when VS Code has taken it away by now, or it is closed. */
  #hadItsTime = true;
  #lastAlarmAt = -Infinity;
  #waiting: Toast[] = [];
  #timer: NodeJS.Timeout | undefined;
  #order = Promise.resolve();

  /** The outcome of what a person did: shown at once. A notice that it displaces comes back after it. */
  answer(show: () => Thenable<Answer>, stays = false): Promise<Answer> {
    this.#keepNotice();
    return this.#put(new Toast(show, { stays }));
  }

  /** What comes by itself, such as a warning or an offer: waits until the place is free. */
  notice(show: () => Thenable<Answer>): Promise<Answer> {
    const toast = new Toast(show, { isNotice: true });
    this.#waiting.push(toast);
    this.#next();
    return toast.answered.promise;
  }

  /** Shown at once, in the place of what is there unless that is an alarm, and hidden by nothing while it is on the screen. */
  alarm(show: () => Thenable<Answer>): Promise<Answer> {
    const hides = this.#isShown && !this.#isAlarmed;
    if (hides) this.#keepNotice();
    this.#lastAlarmAt = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#order = this.#order.then(async () => {
      if (hides) await hideShown();
      show().then(resolve, reject);
    });
    return promise;
  }

  get #isShown(): boolean {
    const shown = this.#shown;
    return shown?.isOpen === true && (shown.stays || !this.#hadItsTime);
  }

  get #isAlarmed(): boolean {
    return performance.now() - this.#lastAlarmAt < shownForMs;
  }

  /** A notice that is displaced before its time comes back. */
  #keepNotice(): void {
    const displaced = this.#shown;
    if (displaced?.isNotice === true && !this.#hadItsTime) this.#waiting.unshift(displaced);
  }

  #next(): void {
    if (!this.#hadItsTime) return;
    const next = this.#waiting.find(({ isOpen }) => isOpen);
    this.#waiting = this.#waiting.filter((one) => one !== next && one.isOpen);
    if (next !== undefined) void this.#put(next);
  }

  #put(toast: Toast): Promise<Answer> {
    const isOlderThere = this.#isShown;
    this.#shown = toast;
    this.#hadItsTime = false;
    this.#restartTimer(toast);
    // One after the other: what hides the older must not come after what shows the newer.
    this.#order = this.#order.then(async () => {
      if (isOlderThere && !this.#isAlarmed) await hideShown();
      void toast.appear().then(() => {
        if (!toast.isOpen) this.#gone(toast);
      });
    });
    return toast.answered.promise;
  }

  #restartTimer(toast: Toast): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // VS Code keeps it for as long as the person is elsewhere.
      if (vscode.window.state.focused) this.#gone(toast);
      else this.#restartTimer(toast);
    }, shownForMs);
    this.#timer.unref();
  }

  #gone(toast: Toast): void {
    if (toast !== this.#shown || this.#hadItsTime) return;
    clearTimeout(this.#timer);
    this.#hadItsTime = true;
    this.#next();
  }
}

/** They stay in the notification center. An editor without the command stacks them. */
async function hideShown(): Promise<void> {
  try {
    await vscode.commands.executeCommand('notifications.hideToasts');
  } catch {
    return;
  }
}

export const toasts = new Toasts();
