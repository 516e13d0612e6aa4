import { parseMemory, type PageMemory, type RunbookState, type Shell } from '../protocol.ts';

declare function acquireVsCodeApi(): {
  postMessage: (message: unknown) => void;
  getState: () => unknown;
  setState: (state: PageMemory) => void;
};

/** The only hold on VS Code, which gives it out once. */
export const vscode = acquireVsCodeApi();

/** What the person chose to see. Only the page needs it. */
export class Memory {
  #kept: PageMemory = parseMemory(vscode.getState()) ?? { open: {}, scrollTop: 0 };
  #saving: number | undefined;

  get scrollTop(): number {
    return this.#kept.scrollTop;
  }

  isOpen(disclosure: string, otherwise: boolean): boolean {
    return this.#kept.open[disclosure] ?? otherwise;
  }

  setOpen(disclosure: string, open: boolean): void {
    this.#change({ open: { ...this.#kept.open, [disclosure]: open } });
  }

  shell(state: RunbookState): Shell {
    return this.#kept.shell ?? state.shell;
  }

  setShell(shell: Shell): void {
    this.#change({ shell });
  }

  belongTo({ runbook }: RunbookState): void {
    if (this.#kept.runbook !== runbook) this.#change({ runbook });
  }

  /** Scrolling comes in many small parts. */
  followScroll(): void {
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.#change({ scrollTop: window.scrollY }), 150);
  }

  #change(change: Partial<PageMemory>): void {
    this.#kept = { ...this.#kept, ...change };
    vscode.setState(this.#kept);
  }
}
