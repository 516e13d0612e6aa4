// The licences of what a bundle contains of others.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The text of the notices, from the metafiles of esbuild: each package with its licence, by name. */
export function noticesOf(metafiles) {
  const folders = new Set(
    metafiles.flatMap(({ inputs }) => Object.keys(inputs)).flatMap((path) => packageFolder(path)),
  );
  const notices = [...folders].map((folder) => {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const [file] = globSync('{LICENSE,LICENCE,License,license,COPYING}*', { cwd: folder });
    if (file === undefined) throw new Error(`${manifest.name} has no licence to ship`);
    const text = readFileSync(join(folder, file), 'utf8').trim();
    return `${manifest.name} ${manifest.version} (${manifest.license})\n\n${text}\n`;
  });
  const line = `\n${'-'.repeat(80)}\n\n`;
  return ['What SQLite Backup contains of others.\n', ...notices.sort()].join(line);
}

/** The folder of the package that a bundled file is of: none for the files of this project. */
function packageFolder(path) {
  const found = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(resolve(path).replaceAll('\\', '/'));
  return found !== null && existsSync(join(found[0], 'package.json')) ? [found[0]] : [];
}
