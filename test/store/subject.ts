import type { Store, StorePlace } from "../../src/store/store.ts";
import { openStore } from "../../src/store/open-store.ts";

/** A kind of database as the suite tests it. */
export interface Subject {
  readonly kind: Store["kind"];
  /** A place that holds nothing yet. */
  newPlace(): Promise<StorePlace>;
  /** Runs statements as somebody who goes around the store; `triggers: "off"` as somebody who means it. */
  behindItsBack(
    place: StorePlace,
    statements: readonly string[],
    options?: { readonly triggers: "off" },
  ): Promise<void>;
  /** Locks every table against writers until disposed. */
  lock(place: StorePlace): Promise<AsyncDisposable>;
}

/** Runs the work with a new, empty store. */
export async function withStore<T>(
  subject: Subject,
  work: (store: Store, place: StorePlace) => Promise<T>,
): Promise<T> {
  const place = await subject.newPlace();
  await using store = await openStore(place);
  return await work(store, place);
}
