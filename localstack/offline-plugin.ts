/** Not written yet. */
export default class OfflinePlugin {
  hooks: Record<string, () => void> = {};
}
