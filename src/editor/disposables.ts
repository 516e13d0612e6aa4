import type * as vscode from 'vscode';

/** Owns what it is given and disposes all of it once; what comes later is disposed at once. */
export class Disposables implements vscode.Disposable {
  readonly #owned = new Set<vscode.Disposable>();
  #isDisposed = false;

  add<T extends vscode.Disposable>(disposable: T): T {
    if (this.#isDisposed) disposable.dispose();
    else this.#owned.add(disposable);
    return disposable;
  }

  /** Disposes what is owned so far, and goes on. */
  clear(): void {
    for (const disposable of this.#owned) disposable.dispose();
    this.#owned.clear();
  }

  dispose(): void {
    this.#isDisposed = true;
    this.clear();
  }
}
