/** A component for hosts: it has words that nobody else downloads. */
import { VisitElement } from "./element.js";
import { type HostStrings, hostStringsFor } from "./strings/host.js";

export abstract class HostElement extends VisitElement {
  /** Assigning `strings` replaces these, too. */
  protected get hostStrings(): HostStrings {
    return hostStringsFor(this.language, this.patch);
  }
}
