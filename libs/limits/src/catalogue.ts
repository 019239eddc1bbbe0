import type { CrmType } from '#contracts';
import type { Catalogue, CrmCatalogue, LicenceTerms } from './catalogue-limit.js';
import { DATAVERSE } from './dataverse.js';
import { FRESHDESK } from './freshdesk.js';
import { HUBSPOT } from './hubspot.js';
import { KUSTOMER } from './kustomer.js';
import { SALESFORCE } from './salesforce.js';
import { SERVICENOW } from './servicenow.js';
import { ZENDESK } from './zendesk.js';

const CATALOGUES: Readonly<Record<CrmType, CrmCatalogue>> = {
  zendesk: ZENDESK,
  salesforce: SALESFORCE,
  hubspot: HUBSPOT,
  dataverse: DATAVERSE,
  servicenow: SERVICENOW,
  freshdesk: FRESHDESK,
  kustomer: KUSTOMER,
};

/** Everything that a CRM limits for a licence; null where the catalogue doesn't have the licence. */
export function catalogueOf(type: CrmType, licence: string, terms: LicenceTerms = {}): Catalogue | null {
  return CATALOGUES[type].limitsOf(licence, terms);
}

/** The licences that the catalogue knows of a CRM. */
export function licencesOf(type: CrmType): readonly string[] {
  return CATALOGUES[type].licences;
}

/** What beside the licence's name decides its limits; nothing for an unknown one. */
export function termsOf(type: CrmType, licence: string): readonly (keyof LicenceTerms)[] {
  return licencesOf(type).includes(licence) ? CATALOGUES[type].termsOf(licence) : [];
}
