/** The beginning of the page that shows what is inside a backup. */
import { type FromLookPage, parseToLookPage } from '../../look/protocol.ts';
import { patchChildren } from '../dom.ts';
import { inertText } from '../inertText.ts';
import { lookPage } from './view.ts';

declare function acquireVsCodeApi(): { postMessage: (message: unknown) => void };

const vscode = acquireVsCodeApi();
const root = elementWithId('runbook');
const announcer = elementWithId('announcer');
let title: string | undefined;

function send(message: FromLookPage): void {
  vscode.postMessage(message);
}

window.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
  const message = parseToLookPage(data);
  if (message === undefined) {
    send({ trouble: 'message-refused' });
    return;
  }
  const { state } = message;
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  patchChildren(root, lookPage(state));
  // The same page shows one backup after the other.
  if (title !== state.title) window.scrollTo(0, 0);
  title = state.title;
  if (focused !== null && focused !== document.body && !focused.isConnected) settleFocus(focused);
  const said = inertText(state.liveMessage);
  if (announcer.textContent !== said) announcer.textContent = said;
});

/** A button that is gone, such as Next at the end of a table, leaves the focus to its table. */
function settleFocus({ dataset }: HTMLElement): void {
  const [owner = ''] = (dataset['act'] ?? '').split('.');
  const heir =
    root.querySelector<HTMLElement>(`[data-act="${CSS.escape(owner)}"]`) ??
    root.querySelector<HTMLElement>('h1');
  heir?.focus({ preventScroll: true });
}

root.addEventListener('click', (event) => {
  const pressed = (event.target as Element).closest<HTMLElement>('button');
  if (pressed === null || pressed.getAttribute('aria-disabled') === 'true') return;
  const { act } = pressed.dataset;
  // The second press of a double click would hit what the first one brought up.
  if (act !== undefined && event.detail <= 1) send({ act });
});

window.addEventListener('error', () => send({ trouble: 'page-failed' }));

send({ ready: true });

function elementWithId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no element with the id ${id}`);
  return element;
}
