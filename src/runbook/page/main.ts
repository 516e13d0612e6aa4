/** The page's beginning: shows every state that the host sends, and sends back what was pressed. */
import { parseToPage, type ToHost } from '../protocol.ts';
import { announcement } from './announce.ts';
import { patchChildren } from './dom.ts';
import { currentPlace, settleFocus } from './focus.ts';
import { inertText } from './inertText.ts';
import { Memory, vscode } from './memory.ts';
import type { View } from './pageView.ts';
import { wholePage } from './view.ts';

const copiedShownMs = 2000;

const root = elementWithId('runbook');
const announcer = elementWithId('announcer');
const memory = new Memory();
let view: View | undefined;

function send(message: ToHost): void {
  vscode.postMessage(message);
}

function show(next: View): void {
  const isFirst = view === undefined;
  const place = currentPlace();
  const previous = view?.state;
  view = next;
  patchChildren(root, wholePage(next));
  memory.belongTo(next.state);
  if (isFirst) window.scrollTo(0, memory.scrollTop);
  if (previous !== next.state) {
    settleFocus(place, previous, next.state);
    const message = announcement(previous, next.state);
    if (message !== '') announcer.textContent = inertText(message);
  }
}

/** Shows the same state once more, after the page's own part of the view changed. */
function showAgain(change: Partial<View> = {}): void {
  if (view !== undefined) show({ ...view, ...change });
}

window.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
  const message = parseToPage(data);
  if (message === undefined) {
    send({ trouble: 'message-refused' });
  } else if ('state' in message) {
    show({ state: message.state, memory, copied: view?.copied });
  } else {
    const { copied } = message;
    showAgain({ copied });
    announcer.textContent = view?.state.words.copied ?? '';
    setTimeout(() => {
      if (view?.copied === copied) showAgain({ copied: undefined });
    }, copiedShownMs);
  }
});

root.addEventListener('click', (event) => {
  const folded = (event.target as Element).closest('summary')?.parentElement;
  if (folded instanceof HTMLDetailsElement) {
    // Not left to the browser, which tells of it later, when another state may have closed it again.
    event.preventDefault();
    memory.setOpen(folded.dataset['disclosure'] ?? '', !folded.open);
    showAgain();
    return;
  }
  const pressed = (event.target as Element).closest<HTMLElement>('button, input');
  if (pressed === null) return;
  if (pressed.getAttribute('aria-disabled') === 'true') {
    event.preventDefault();
    return;
  }
  const { act, copy, shell } = pressed.dataset;
  // The second press of a double click would hit what the first one brought up.
  if (act !== undefined && event.detail <= 1) send({ act });
  if (copy !== undefined && view !== undefined) {
    send({ copy: { step: copy, shell: memory.shell(view.state) } });
  }
  if (shell !== undefined) chooseShell(shell);
});

root.addEventListener('change', (event) => {
  const input = event.target as HTMLInputElement;
  const { tick } = input.dataset;
  if (tick !== undefined) send({ tick, value: input.checked });
});

root.addEventListener('keydown', (event) => {
  const tab = (event.target as Element).closest<HTMLElement>('[role=tab]');
  if (tab === null || !['ArrowLeft', 'ArrowRight', 'Home', 'End'].includes(event.key)) return;
  event.preventDefault();
  const tabs = [...(tab.parentElement?.querySelectorAll<HTMLElement>('[role=tab]') ?? [])];
  const other = tabs.find((one) => one !== tab);
  const wanted = event.key === 'Home' ? tabs[0] : event.key === 'End' ? tabs.at(-1) : other;
  chooseShell(wanted?.dataset['shell']);
  wanted?.focus();
});

window.addEventListener('scroll', () => memory.followScroll(), { passive: true });
window.addEventListener('error', () => send({ trouble: 'page-failed' }));

send({ ready: true });

function chooseShell(shell: string | undefined): void {
  if (shell !== 'posix' && shell !== 'powershell') return;
  memory.setShell(shell);
  showAgain();
}

function elementWithId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no element with the id ${id}`);
  return element;
}
