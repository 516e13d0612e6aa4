// Installs what windows need, where it is missing, so that suites side by side find it there.
import { requireChromium } from './chromium.ts';
import { findDesktop } from './desktop.ts';
import { installServer } from './vscodeServer.ts';

await findDesktop();
if (process.platform !== 'win32') {
  await installServer();
  requireChromium();
}
