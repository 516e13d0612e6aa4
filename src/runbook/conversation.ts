/** The host's side of the conversation with one page: what is shown, and what the page may ask for. */
import { parseToHost, type RunbookState, type ToHost, type ToPage } from './protocol.ts';
import type { RestoreSession } from './session.ts';
import { stateOf } from './view/state.ts';
import type { Wording } from './view/wording.ts';

/** Where the page is shown. */
export interface Screen {
  /** A hidden page gets no messages; it is told all again when it is seen. */
  isVisible: () => boolean;
  post: (message: ToPage) => void;
  copy: (text: string) => Promise<void>;
  warn: (text: string) => void;
  /** Something failed because of an error of this extension. */
  defect: (error: unknown) => void;
}

const lookEveryMs = 2500;
const drawEveryMs = 100;

/** Pushes the state, and takes nothing from the page but ids that it was shown. */
export class Conversation {
  readonly session: RestoreSession;
  readonly #screen: Screen;
  readonly #wording: Wording;
  #shown: RunbookState | undefined;
  #drawTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;

  constructor(session: RestoreSession, wording: Wording, screen: Screen) {
    this.session = session;
    this.#wording = wording;
    this.#screen = screen;
  }

  start(): void {
    this.session.restore.onDidChange(() => this.#drawSoon());
    this.#lookTimer = setInterval(() => {
      if (this.#screen.isVisible()) this.#run(this.session.look());
    }, lookEveryMs);
    this.#run(this.session.open());
  }

  dispose(): void {
    clearTimeout(this.#drawTimer);
    clearInterval(this.#lookTimer);
    this.session.dispose();
  }

  receive(raw: unknown): void {
    const parsed = this.#parse(raw);
    if ('refused' in parsed) {
      this.#screen.warn(`The runbook page sent something that was not offered: ${parsed.refused}`);
      this.draw();
      return;
    }
    const { message } = parsed;
    if ('ready' in message) this.draw();
    else if ('trouble' in message) this.#screen.warn(`The runbook page: ${message.trouble}`);
    else if ('copy' in message) this.#run(this.#copy(message.copy));
    else if ('act' in message) this.#run(this.session.act(message.act));
    else if ('tick' in message) this.#run(this.session.tick(message.tick, message.value));
  }

  /** What was pressed must have been shown, and still hold: the page may be a tenth of a second behind. */
  #parse(raw: unknown): { message: ToHost } | { refused: string } {
    const parsed = parseToHost(raw, this.#shown);
    const isReady = 'message' in parsed && 'ready' in parsed.message;
    return 'refused' in parsed || isReady ? parsed : parseToHost(raw, this.#state);
  }

  get #state(): RunbookState {
    return stateOf(this.session.restore, this.#wording);
  }

  async #copy(copied: Extract<ToPage, { copied: unknown }>['copied']): Promise<void> {
    const commands = this.#shown?.steps.find(({ id }) => id === copied.step)?.commands;
    if (commands === undefined) return;
    await this.#screen.copy(commands[copied.shell]);
    this.#screen.post({ copied });
  }

  /** Progress comes faster than a person reads. */
  #drawSoon(): void {
    this.#drawTimer ??= setTimeout(() => this.draw(), drawEveryMs);
  }

  draw(): void {
    clearTimeout(this.#drawTimer);
    this.#drawTimer = undefined;
    if (!this.#screen.isVisible()) return;
    this.#shown = this.#state;
    this.#screen.post({ state: this.#shown });
  }

  #run(work: Promise<void>): void {
    work.catch((error: unknown) => this.#screen.defect(error));
  }
}
