/** The shortest names that tell databases apart. Pure. */

/** A database as manifests name it: its path with `/`, and the folder that the path is in. */
export interface NamedDatabase {
  path: string;
  workspace?: string | undefined;
}

/**
 * For each database the shortest end of its path that no other has: `dev.db`, or `api/dev.db` beside `web/dev.db`. The
 * name of the workspace is its first part where there are several.
 */
export class ShortNames {
  readonly #names = new Map<string, string>();
  readonly #hasSeveral: boolean;

  constructor(databases: Iterable<NamedDatabase>) {
    const all = [...databases];
    const workspaces = all.flatMap(({ workspace }) => workspace ?? []);
    this.#hasSeveral = new Set(workspaces).size > 1;
    const paths = new Set(all.map((one) => this.#fullName(one)));
    for (const same of Map.groupBy(paths, fileName).values()) nameApart(same, this.#names);
  }

  /** The whole path of one that was not among them. */
  of(database: NamedDatabase): string {
    const full = this.#fullName(database);
    return this.#names.get(full) ?? full;
  }

  #fullName({ path, workspace }: NamedDatabase): string {
    return this.#hasSeveral && workspace !== undefined ? `${workspace}/${path}` : path;
  }
}

/** Takes one part more of all that are still alike, until none is. */
function nameApart(paths: string[], names: Map<string, string>): void {
  let alike = paths.map((path) => ({ path, parts: path.split('/') }));
  for (let count = 1; alike.length > 0; count++) {
    const groups = Map.groupBy(alike, ({ parts }) => parts.slice(-count).join('/'));
    alike = [];
    for (const [name, group] of groups) {
      const [only] = group;
      if (group.length === 1 && only !== undefined) names.set(only.path, name);
      // A path that has no more parts is its own name.
      for (const one of group.length === 1 ? [] : group) {
        if (one.parts.length > count) alike.push(one);
        else names.set(one.path, one.path);
      }
    }
  }
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
