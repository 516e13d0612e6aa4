/** What every engine can do for us. */
import type { Policy } from '../catalog/retention.ts';
import type { BundleManifest, Manifest } from '../manifest/manifest.ts';

export interface Parcel {
  /** A private folder that holds the backup and its manifest, and nothing else of that name. */
  folder: string;
  name: string;
  manifest: Manifest | BundleManifest;
  /** Other bytes of that name were found there: they are replaced. */
  again?: boolean;
}

/** One copy that is whole: the backup and its manifest are both there. */
export interface Remote {
  id: string;
  name: string;
  createdAt: string;
  /** The clock had gone back: a backup that was there already is dated so much later. */
  after?: string;
  sha256: string;
  /** As far as the place tells without a download. */
  sizeBytes?: number;
  database?: string;
  /** The machine that sent it. */
  host?: string;
}

export interface Driver {
  version: string;
  /** Whether a repository is there. Throws what else is wrong. */
  exists: () => Promise<boolean>;
  /** Makes a repository. */
  create: () => Promise<void>;
  /** Newest first, by `inOrder`; only what is whole. */
  list: () => Promise<Remote[]>;
  /** The id that a backup has there by its name and content. A send with `again` replaces what lies there. */
  addressOf?: (name: string, sha256: string) => string;
  /** Returns the id. */
  send: (parcel: Parcel, onProgress: (doneBytes: number) => void) => Promise<string>;
  /** The bytes of the backup, or of its manifest. */
  read: (
    remote: Remote,
    which: 'backup' | 'manifest',
    onData: (chunk: Buffer) => void,
  ) => Promise<void>;
  /** Why the rules keep each copy of one database, by id, in the engine's words; no reason for what would go. Removes nothing. */
  forgetPlan?: (database: string, policy: Policy) => Promise<Map<string, string[]>>;
  /** Removes these, and frees their space. */
  forget?: (ids: readonly string[]) => Promise<void>;
}
