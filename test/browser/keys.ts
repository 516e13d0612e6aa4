import assert from 'node:assert/strict';
import type { Window } from './window.ts';

/** What a person without a mouse does in a window: every step is a key. */
interface Keys {
  /** Runs a command of the Command Palette. */
  command: (title: string) => Promise<void>;
  /** Presses a button of the page. */
  press: (name: string | RegExp) => Promise<void>;
  /** Ticks a box of the page. */
  tick: (name: string) => Promise<void>;
  /** Presses a button of a modal dialog. */
  answer: (name: string) => Promise<void>;
}

const mostTabs = 80;

export function keysOf(window: Window): Keys {
  const { page, webview, dialog } = window;
  const { keyboard } = page;

  const tabUntil = async (what: string, isThere: () => Promise<boolean>): Promise<void> => {
    for (let presses = 0; presses < mostTabs; presses++) {
      if (await isThere()) return;
      await keyboard.press('Tab');
    }
    assert.fail(`Tab does not lead to ${what}`);
  };

  const tabTo = async (role: 'button' | 'checkbox', name: string | RegExp): Promise<void> => {
    const element = webview.getByRole(role, { name }).first();
    await element.waitFor();
    const focused = element.and(webview.locator(':focus'));
    await tabUntil(String(name), async () => (await focused.count()) > 0);
  };

  return {
    command: async (title) => {
      const option = window.option(title);
      for (let tries = 1; ; tries++) {
        await keyboard.press('F1');
        await window.quickInput.waitFor();
        await keyboard.type(title);
        try {
          await option.waitFor({ timeout: 5000 });
          break;
        } catch (error) {
          // A palette opened before the extensions were read never shows their commands.
          if (tries === 6) throw error;
          await keyboard.press('Escape');
        }
      }
      // Commands that only contain these words may come first.
      const chosen = window.quickInput.locator('.monaco-list-row.focused');
      for (let presses = 0; presses < 10; presses++) {
        if ((await chosen.getAttribute('aria-label'))?.startsWith(title) === true) break;
        await keyboard.press('ArrowDown');
      }
      await keyboard.press('Enter');
    },
    press: async (name) => {
      await tabTo('button', name);
      await keyboard.press('Enter');
    },
    tick: async (name) => {
      await tabTo('checkbox', name);
      await keyboard.press('Space');
    },
    answer: async (name) => {
      const button = dialog.getByRole('button', { name, exact: true });
      await button.waitFor();
      const focused = button.and(page.locator(':focus'));
      await tabUntil(name, async () => (await focused.count()) > 0);
      await keyboard.press('Enter');
    },
  };
}
