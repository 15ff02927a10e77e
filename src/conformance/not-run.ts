/** Why a case could not be run on this host. Not a failure, and never silent. */
export class NotRun extends Error {
  override readonly name = "NotRun";
}
