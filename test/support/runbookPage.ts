/** The runbook page as it ships, in a plain Chromium: with the policy, colours and interface that a webview gives it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Browser, Frame, Page } from 'playwright-core';
import { runbookHtml } from '../../src/runbook/html.ts';
import type { RunbookState, ToPage } from '../../src/runbook/protocol.ts';
import themeColours from '../fixtures/themeColours.json' with { type: 'json' };
import { launchChromium } from './hosts/chromium.ts';
import { temporaryFolder } from './hosts/lifetime.ts';

const root = resolve(import.meta.dirname, '../..');
const origin = 'http://runbook.test';

export const looks = Object.keys(themeColours) as Look[];
export type Look = keyof typeof themeColours;

/** Builds the page's script as it ships and starts the browser; `close` ends both. */
export async function startPages(name: 'runbook' | 'look' = 'runbook'): Promise<{
  open: () => Promise<RunbookPage>;
  close: () => Promise<void>;
}> {
  const folder = temporaryFolder('runbook');
  execFileSync(process.execPath, [join(root, 'esbuild.mjs'), `--page=${folder.path}`]);
  const script = readFileSync(join(folder.path, `${name}.js`), 'utf8');
  folder.remove();
  const browser = await launchChromium();
  return {
    open: () => openPage(browser, script),
    close: () => browser.close(),
  };
}

/** What VS Code defines in a webview, with everything that was sent and kept for the test to see. */
const hostStub = `
  window.sent = [];
  window.acquireVsCodeApi = () => {
    delete window.acquireVsCodeApi;
    return {
      postMessage: (message) => window.sent.push(message),
      getState: () => JSON.parse(sessionStorage.getItem('kept') ?? 'null') ?? undefined,
      setState: (state) => sessionStorage.setItem('kept', JSON.stringify(state)),
    };
  };
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    window.sent.push({ violation: violatedDirective + ' ' + blockedURI }));
`;

async function openPage(browser: Browser, script: string): Promise<RunbookPage> {
  const page = await browser.newPage();
  const files: Record<string, [type: string, body: string]> = {
    '/runbook.js': ['text/javascript', script],
    '/runbook.css': ['text/css', readFileSync(join(root, 'media/runbook.css'), 'utf8')],
    '/look.css': ['text/css', readFileSync(join(root, 'media/look.css'), 'utf8')],
  };
  await page.route('**/*', async (route) => {
    const { pathname } = new URL(route.request().url());
    const [contentType, body] = files[pathname] ?? ['text/html', html()];
    await route.fulfill({ contentType, body });
  });
  await page.addInitScript(hostStub);
  return new RunbookPage(page);
}

function html(): string {
  return runbookHtml({
    cspSource: origin,
    script: `${origin}/runbook.js`,
    style: `${origin}/runbook.css`,
    moreStyle: `${origin}/look.css`,
    language: 'en',
    title: 'Restore',
  });
}

/** Gives a page the colours of a theme, as VS Code does. */
export async function wear(page: Page | Frame, look: Look): Promise<void> {
  await page.evaluate(`{
    const { bodyClass, variables } = ${JSON.stringify(themeColours[look])};
    document.body.className = bodyClass;
    for (const [name, value] of Object.entries(variables)) {
      if (value === null) document.documentElement.style.removeProperty(name);
      else document.documentElement.style.setProperty(name, value);
    }
  }`);
}

export class RunbookPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** As if it had never been open. */
  async startOver(): Promise<void> {
    await this.page.setViewportSize({ width: 900, height: 1100 });
    await this.page.emulateMedia({ reducedMotion: 'no-preference' });
    await this.load();
    await this.page.evaluate('sessionStorage.clear()');
    await this.load();
  }

  /** Loads the page, or loads it again: what it kept stays. */
  async load(look: Look = 'dark'): Promise<void> {
    await this.page.goto(`${origin}/`);
    await this.wear(look);
  }

  async wear(look: Look): Promise<void> {
    await wear(this.page, look);
  }

  async show(state: RunbookState): Promise<void> {
    await this.post({ state });
  }

  /** What the host sends; returns when the page has dealt with it. */
  async post(message: ToPage): Promise<void> {
    await this.postAnything(message);
  }

  async postAnything(message: unknown): Promise<void> {
    await this.page.evaluate(
      `new Promise((settle) => {
        addEventListener('message', () => settle(), { once: true });
        postMessage(${JSON.stringify(message)}, '*');
      })`,
    );
  }

  /** What the page sent since the last time this was asked. */
  async sent(): Promise<unknown[]> {
    return await this.page.evaluate('window.sent.splice(0)');
  }

  /** The accessible name of what has the focus. */
  async focused(): Promise<string> {
    return await this.page.evaluate(
      `document.activeElement.getAttribute('aria-label') ?? (document.activeElement.closest('label') ?? document.activeElement).innerText`,
    );
  }

  /** Waits for an expression to hold in the page, whose policy forbids to let it wait by itself. */
  async until(expression: string): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!(await this.page.evaluate(expression))) {
      if (Date.now() > deadline) throw new Error(`It never became true that ${expression}`);
      await this.page.waitForTimeout(20);
    }
  }

  async announced(): Promise<string> {
    return (await this.page.locator('#announcer').textContent()) ?? '';
  }
}
