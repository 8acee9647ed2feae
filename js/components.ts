/**
 * The package's web components: `import { defineVisitElements } from "sealed-visit/components"`.
 *
 * The visit works without them: they read the state and send events; the gate is in the core.
 */
export { defineVisitElements } from "./components/define.js";
export { DeviceCheckElement, type SupportReport } from "./components/device-check.js";
export type { LineUses } from "./components/line-check.js";
export { openDevice } from "./components/device-probe.js";
export { formatDay, formatDays, formatList, formatText, formatTime } from "./components/format.js";
export { type IconName, icon } from "./components/icons.js";
export { RecordingIndicatorElement } from "./components/recording-indicator.js";
export {
  en,
  loadStrings,
  type Strings,
  recipientName,
  type StringsPatch,
  stringsFor,
} from "./components/strings/index.js";
export type {
  ChecklistItem,
  Answered,
  ConsentAnswer,
  ConsentReply,
  ConsentRequest,
  ConsentRound,
  ConsentText,
  Indicator,
  Layer,
  ParticipantAnswer,
  Purpose,
  Recipient,
  RecipientRole,
  Role,
  RosterEntry,
  Terms,
  VisitView,
  WithdrawalPolicy,
} from "./components/view.js";
export { mustAnswer, PURPOSES, recorderInRoster } from "./components/view.js";
export { VisitConsentElement } from "./components/visit-consent.js";
export { VisitLabelElement } from "./components/visit-label.js";
export { VisitRosterElement } from "./components/visit-roster.js";
