import { h, type Description } from './dom.ts';

/** Strokes on a grid of 16. */
const strokes = {
  check: 'M3 8.5 6.4 12 13 4.5',
  cross: 'M4 4l8 8M12 4l-8 8',
  skip: 'M4 8h8',
  person:
    'M8 8a2.75 2.75 0 1 0 0-5.5A2.75 2.75 0 0 0 8 8zM3 13.5c.6-2.3 2.5-3.5 5-3.5s4.4 1.2 5 3.5',
  arrow: 'M2.5 8h11M9 3.5 13.5 8 9 12.5',
  fact: 'M8 7.9v.2',
  proof: 'M8 1.8l5 1.8v4.1c0 3-2 5.3-5 6.5-3-1.2-5-3.5-5-6.5V3.6zM5.6 7.9l1.8 1.8 3.1-3.3',
  warning: 'M8 2 14.5 13.5h-13zM8 6.3v3.4M8 11.6v.1',
  error: 'M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4',
  info: 'M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM8 7.3v3.9M8 4.8v.1',
  chevron: 'M6 3.5 10.5 8 6 12.5',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
};

/** A picture for those who see it; what it means is always said in words too. */
export function icon(name: keyof typeof strokes): Description {
  return h(
    'svg',
    { key: 'icon', class: `icon icon-${name}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' },
    h('path', { d: strokes[name] }),
  );
}
