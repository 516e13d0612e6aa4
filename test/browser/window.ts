import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Browser, BrowserContext, Frame, FrameLocator, Locator, Page } from 'playwright-core';
import { launchChromium } from '../support/hosts/chromium.ts';
import { startServer, windowUrl } from '../support/hosts/vscodeServer.ts';
import type { VSCodeServer } from '../support/hosts/vscodeServer.ts';
import { packageExtension, packagePath } from '../support/package.ts';

const SCREENSHOTS = resolve(import.meta.dirname, '../../out/screenshots');
const OPEN_TIMEOUT_MS = 60_000;

export interface WindowOptions {
  /** Absolute path of the folder to open, or of a `.code-workspace` file; undefined opens none. */
  folder?: string | undefined;
  /** A server that is there already, and stays when the window closes; it has its own settings and trust. */
  host?: Host;
  /** Path of the packed extension to install. Default: packed from the sources. */
  vsix?: string;
  /** User settings. */
  settings?: Record<string, unknown>;
  /** Name of a colour theme, for example `Default High Contrast`. */
  theme?: string;
  /** False opens the folder in Restricted Mode. Default: true. */
  trusted?: boolean;
  /** The language that extensions speak in the window, as a language pack of VS Code would choose it. Default: English. */
  language?: string;
}

/** A VS Code server with the packed extension and nothing else installed, and a browser for its windows. */
export interface Host {
  browser: Browser;
  server: VSCodeServer;
  close: () => Promise<void>;
}

let packed: Promise<string> | undefined;

/** The package that this run has made already, or else one that is made now, which takes the time of the test. */
export function thePackage(): Promise<string> {
  const isThere = process.env['TEST_PACKAGED'] !== undefined;
  return (packed ??= isThere ? Promise.resolve(packagePath()) : packageExtension());
}

export async function startHost(options: Omit<WindowOptions, 'folder' | 'host'>): Promise<Host> {
  const vsix = options.vsix ?? (await thePackage());
  const browser = await launchChromium();
  const server = await startServer({
    trusted: options.trusted ?? true,
    extensions: [vsix],
    settings: {
      ...(options.theme ? { 'workbench.colorTheme': options.theme } : {}),
      ...options.settings,
    },
  });
  const close = async (): Promise<void> => {
    await browser.close();
    server.stop();
  };
  return { browser, server, close };
}

/** Opens a window with a browser profile of its own. */
export async function openWindow(options: WindowOptions): Promise<Window> {
  const { host } = options;
  const { browser, server, close } = host ?? (await startHost(options));
  const { context, page } = await newPage(browser, options.language);
  const window = new Window(server, page, async () => {
    if (host === undefined) return close();
    // A page that is left says goodbye, and its extension host ends.
    await page.goto('about:blank');
    await context.close();
  });
  const { folder } = options;
  const url = folder === undefined ? `${server.url}/?ew=true` : windowUrl(server, folder);
  await open(window, url, folder);
  return window;
}

/** Opens the address of a server that another process runs. The browser ends with the window. */
export async function openAddress(url: string): Promise<Window> {
  const browser = await launchChromium();
  const { page } = await newPage(browser);
  const window = new Window(undefined, page, () => browser.close());
  await open(window, url);
  return window;
}

async function newPage(
  browser: Browser,
  language?: string,
): Promise<{ context: BrowserContext; page: Page }> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    // Nothing here draws on a graphics card, and each frame of an animation takes time from the test.
    reducedMotion: 'reduce',
  });
  if (language !== undefined)
    await context.addInitScript(`globalThis._VSCODE_NLS_LANGUAGE = ${JSON.stringify(language)}`);
  // For what is opened and for what is loaded again, also beside other work.
  context.setDefaultNavigationTimeout(OPEN_TIMEOUT_MS);
  return { context, page: await context.newPage() };
}

async function open(window: Window, url: string, folder?: string): Promise<void> {
  try {
    // What is shown tells that it is loaded; the event for that waits for everything.
    await window.page.goto(url, { waitUntil: 'commit' });
    await window.statusBar.waitFor({ timeout: OPEN_TIMEOUT_MS });
    if (folder !== undefined && listsFolders(folder)) await window.untilFoldersAreThere();
  } catch (error) {
    await window.close();
    throw error;
  }
}

/** True for a workspace file with folders in it. */
function listsFolders(path: string): boolean {
  if (!path.endsWith('.code-workspace')) return false;
  const { folders } = JSON.parse(readFileSync(path, 'utf8')) as { folders: unknown[] };
  return folders.length > 0;
}

/** A window of VS Code, seen as a person does: everything is found by its role and its name. */
export class Window {
  readonly page: Page;
  /** Undefined when another process runs it. */
  readonly server: VSCodeServer | undefined;
  readonly statusBar: Locator;
  readonly #close: () => Promise<void>;

  constructor(server: VSCodeServer | undefined, page: Page, close: () => Promise<void>) {
    this.#close = close;
    this.server = server;
    this.page = page;
    this.statusBar = page.locator('#workbench\\.parts\\.statusbar');
  }

  /**
   * Loads the window again until the Explorer, which it begins with, shows the folders of its workspace file: now and
   * then VS Code in a browser takes that file for empty, and a window that began so stays so.
   */
  async untilFoldersAreThere(): Promise<void> {
    const explorer = this.page.locator('.part.sidebar .explorer-folders-view');
    for (let tries = 1; ; tries++) {
      try {
        await explorer.getByRole('treeitem').first().waitFor({ timeout: 10_000 });
        return;
      } catch (error) {
        if (tries === 5) throw error;
        await this.page.reload();
        await this.statusBar.waitFor({ timeout: OPEN_TIMEOUT_MS });
      }
    }
  }

  /** Picks a command in the Command Palette by its full title, such as `SQLite Backup: Show Log`. */
  async runCommand(title: string): Promise<void> {
    const entry = await this.findCommand(title);
    await entry.click();
  }

  /** Opens the Command Palette with `title` typed in, and returns the entry of that command. */
  async findCommand(title: string): Promise<Locator> {
    const entry = this.option(title);
    const deadline = Date.now() + OPEN_TIMEOUT_MS;
    for (;;) {
      await this.page.keyboard.press('F1');
      await this.quickInput.getByRole('textbox').fill(`>${title}`);
      try {
        await entry.waitFor({ timeout: 2_000 });
        return entry;
      } catch (error) {
        // A palette opened before the extensions were read never shows their commands.
        if (Date.now() > deadline) throw error;
        await this.page.keyboard.press('Escape');
      }
    }
  }

  /** The Command Palette, or any other quick pick or input box. */
  get quickInput(): Locator {
    return this.page.locator('.quick-input-widget');
  }

  /** An entry of the open quick pick. */
  option(name: string | RegExp): Locator {
    return this.quickInput.getByRole('option', { name }).first();
  }

  /** Types `text` into the input box of that title. */
  async answer(title: string, text: string): Promise<void> {
    await this.quickInput.getByText(title).waitFor();
    await this.quickInput.getByRole('textbox').fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** Writes the settings of this machine, which are apart from those of the user and the workspace. Returns their file. */
  async changeMachineSettings(values: Record<string, unknown>): Promise<string> {
    await this.runCommand('Preferences: Open Remote Settings (JSON)');
    const editor = this.page.locator('.monaco-modal-editor-block');
    const title = editor.locator('.modal-editor-title', { hasText: /\/Machine$/ });
    const [folder = ''] = /\/.*$/.exec((await title.textContent()) ?? '') ?? [];
    const file = join(folder, 'settings.json');
    writeFileSync(file, JSON.stringify(values));
    const [key = ''] = Object.keys(values);
    await editor.getByText(key).first().waitFor();
    await this.page.keyboard.press('Escape');
    await editor.waitFor({ state: 'detached' });
    return file;
  }

  /** Shows the view container of that name from the Activity Bar. */
  async openSidebar(name = 'SQLite Backup'): Promise<void> {
    const tab = this.page
      .getByRole('tablist', { name: 'Active View Switcher' })
      .getByRole('tab', { name });
    if ((await tab.getAttribute('aria-selected')) !== 'true') await tab.click();
  }

  /** One of our views, its header included. */
  view(name: 'Databases' | 'Backups'): Locator {
    return this.page
      .locator('.part.sidebar .pane')
      .filter({ has: this.page.locator(`.pane-header[aria-label^="${name}"]`) });
  }

  /** A row of a tree, in whatever view. */
  treeItem(name: string | RegExp): Locator {
    return this.page.getByRole('treeitem', { name });
  }

  /** Presses an entry of the open context menu. */
  async chooseFromMenu(name: string, timeout = 30_000): Promise<void> {
    const entry = this.page.getByRole('menuitem', { name, exact: true });
    await entry.waitFor({ timeout });
    // A menu ignores a press that follows too closely on its opening, and stays.
    for (let tries = 1; ; tries++) {
      await entry.click({ timeout });
      try {
        return await entry.waitFor({ state: 'detached', timeout: 1_000 });
      } catch (error) {
        if (tries === 5) throw error;
        if (!(await entry.isVisible())) return;
      }
    }
  }

  /**
   * Chooses an entry of the context menu of a row, and waits for the `effect` that it has. A row that is drawn anew loses
   * its menu, also while an entry of it is pressed: then it is opened again.
   */
  async chooseFromRow(row: Locator, name: string, effect: Locator): Promise<void> {
    for (let tries = 1; ; tries++) {
      await row.click({ button: 'right' });
      try {
        await this.chooseFromMenu(name, 2_000);
        return await effect.first().waitFor({ timeout: 10_000 });
      } catch (error) {
        if (tries === 5) throw error;
        await this.page.keyboard.press('Escape');
      }
    }
  }

  /**
   * Answers VS Code's own dialog for folders, which stands in for that of the system. `inside` is a folder in the one at
   * `path`: as soon as the dialog lists it, it has arrived there, and a press before that goes elsewhere.
   */
  async chooseFolder(path: string, inside: string, button: string): Promise<void> {
    const press = this.quickInput.getByRole('button', { name: button });
    await press.waitFor();
    // Where it begins, it comes to by itself.
    await this.option('..').waitFor();
    await this.quickInput.getByRole('textbox').fill(`${path}/`);
    await this.option(inside).waitFor();
    await press.click();
    await press.waitFor({ state: 'hidden' });
  }

  /** Chooses an entry of the … menu of one of our views. */
  async chooseFromViewMenu(view: 'Databases' | 'Backups', name: string): Promise<void> {
    const header = this.view(view).locator('.pane-header');
    // The buttons are drawn anew when a context key changes, and an open menu closes then.
    for (let tries = 1; ; tries++) {
      await header.hover();
      await header.getByRole('button', { name: 'More Actions...' }).click();
      try {
        return await this.chooseFromMenu(name, 2_000);
      } catch (error) {
        if (tries === 5) throw error;
        await this.page.keyboard.press('Escape');
      }
    }
  }

  /** Makes the side bar so wide, in pixels. */
  async resizeSidebar(width: number): Promise<void> {
    const box = await this.page.locator('.part.sidebar').boundingBox();
    if (box === null) throw new Error('There is no side bar');
    await this.page.mouse.move(box.x + box.width, 400);
    await this.page.mouse.down();
    await this.page.mouse.move(box.x + width, 400, { steps: 5 });
    await this.page.mouse.up();
  }

  /** A notification that shows `text`; its buttons are inside. */
  notification(text: string | RegExp): Locator {
    return this.page.locator('.notification-toast').filter({ hasText: text });
  }

  /** A modal dialog. */
  get dialog(): Locator {
    return this.page.locator('.monaco-dialog-box');
  }

  /** An item of the status bar; `click` presses it. */
  statusBarItem(name: string | RegExp): Locator {
    return this.statusBar.getByRole('button', { name });
  }

  /** The page inside the visible webview. */
  get webview(): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('#active-frame');
  }

  /** The same server, seen through another page of the same browser. */
  besides(page: Page): Window {
    return new Window(this.server, page, () => page.close());
  }

  /** The frame of that page, for what a locator cannot do. */
  async webviewFrame(): Promise<Frame> {
    await this.webview.locator('body').waitFor();
    const inner = this.page.frames().filter((frame) => frame.name() === 'active-frame');
    const frame = inner.at(-1) ?? this.page.frames().find((one) => one.url().includes('fake.html'));
    if (frame === undefined) throw new Error('there is no page in the window');
    return frame;
  }

  /** Writes `out/screenshots/<name>.png`. */
  async screenshot(name: string): Promise<void> {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }

  close(): Promise<void> {
    return this.#close();
  }
}
