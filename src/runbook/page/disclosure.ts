import { h, type Content, type Description } from './dom.ts';
import { icon } from './icons.ts';
import type { Memory } from './memory.ts';

/** Something that can be folded. It is as the person left it, or else as `openAtFirst` says. */
export function disclosure(
  id: string,
  label: string,
  memory: Memory,
  openAtFirst: boolean,
  content: Content,
): Description {
  const open = memory.isOpen(id, openAtFirst);
  return h(
    'details',
    { key: id, 'data-disclosure': id, open },
    h('summary', {}, icon('chevron'), label),
    h('div', { class: 'folded' }, content),
  );
}
