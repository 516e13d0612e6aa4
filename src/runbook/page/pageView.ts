/** What the page is drawn from. */
import type { RunbookState, Shell } from '../protocol.ts';
import type { Memory } from './memory.ts';

/** All that what is seen depends on. */
export interface View {
  state: RunbookState;
  memory: Memory;
  /** Whose commands went to the clipboard a moment ago. */
  copied: { step: string; shell: Shell } | undefined;
}
