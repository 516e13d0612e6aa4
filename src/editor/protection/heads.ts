/** What the extension for git last told of the branch of each repository. */
export interface Head {
  /** Undefined for a detached head, and for a moment while git is asked. */
  name?: string;
  commit?: string;
}

export class Heads {
  readonly #last = new Map<string, Head>();

  roots(): Iterable<string> {
    return this.#last.keys();
  }

  /** The branch of now, as far as git has told. */
  branchOf(root: string): string | undefined {
    return this.#last.get(root)?.name;
  }

  /**
   * The branch before when this is another one, `{}` where none was known; undefined when nothing was switched. What lies
   * between two branches, as a detached head, hides no switch.
   */
  look(root: string, now: Head): Head | undefined {
    const before = this.#last.get(root);
    // Each commit on the branch as well: what changes between two branches is told by their commits.
    if (before === undefined || now.name !== undefined) this.#last.set(root, now);
    return before === undefined || now.name === undefined || before.name === now.name
      ? undefined
      : before;
  }

  /** What was told could not be followed: whatever branch comes next counts as a switch. */
  again(root: string): void {
    if (this.#last.has(root)) this.#last.set(root, {});
  }

  forget(root: string): void {
    this.#last.delete(root);
  }
}
