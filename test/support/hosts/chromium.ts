import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { canInstall, installPackage } from '../debian.ts';

const NAMES = [
  // Has no interface of a browser that would be drawn as well: a window opens in three quarters of the time.
  'chromium-headless-shell',
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'chrome',
];
const FOLDERS = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/Applications/Google Chrome.app/Contents/MacOS',
  '/Applications/Chromium.app/Contents/MacOS',
  'C:\\Program Files\\Google\\Chrome\\Application',
];

/** Starts a headless Chromium, the one of `CHROMIUM` when set; it ends with this process. */
export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({
    executablePath: requireChromium(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** The path of a Chromium: the one of `CHROMIUM`, one of this machine, or one that is installed for it now. */
export function requireChromium(): string {
  return process.env['CHROMIUM'] ?? findChromium() ?? installChromium();
}

function findChromium(): string | undefined {
  const names = [...NAMES, 'Google Chrome', 'Chromium'];
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return FOLDERS.flatMap((folder) => names.map((name) => join(folder, name + suffix))).find(
    (path) => existsSync(path),
  );
}

function installChromium(): string {
  const byHand = 'Install Google Chrome or Chromium, or set CHROMIUM to the path of one.';
  if (!canInstall) throw new Error(`No Chromium found. ${byHand}`);
  console.log('Installing Chromium: apt-get install -y chromium-headless-shell');
  let problem = installPackage('chromium-headless-shell');
  if (problem !== undefined) problem = installPackage('chromium');
  const installed = findChromium();
  if (installed !== undefined) return installed;
  throw new Error(`apt-get could not install Chromium. ${byHand}\n${problem ?? ''}`);
}
