-- SPDX-License-Identifier: Apache-2.0
-- Indexes for what the maps' queries ask: names as the legacy compares them (without case,
-- NULL first, by bytes after lower()), foreign keys, and link tables from both ends.
CREATE INDEX user_user_name_nocase ON crm."user" (lower(user_name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX account_name_nocase ON crm.account (lower(name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX account_email_nocase ON crm.account (lower(email) COLLATE "C" NULLS FIRST, id);
CREATE INDEX account_parent_id ON crm.account (parent_id);
CREATE INDEX account_assigned_user_id ON crm.account (assigned_user_id);
CREATE INDEX contact_last_name_nocase ON crm.contact (lower(last_name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX contact_first_name_nocase ON crm.contact (lower(first_name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX contact_email_nocase ON crm.contact (lower(email) COLLATE "C" NULLS FIRST, id);
CREATE INDEX contact_reports_to_id ON crm.contact (reports_to_id);
CREATE INDEX contact_assigned_user_id ON crm.contact (assigned_user_id);
CREATE INDEX opportunity_name_nocase ON crm.opportunity (lower(name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX opportunity_assigned_user_id ON crm.opportunity (assigned_user_id);
CREATE INDEX lead_last_name_nocase ON crm.lead (lower(last_name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX lead_email_nocase ON crm.lead (lower(email) COLLATE "C" NULLS FIRST, id);
CREATE INDEX lead_account_id ON crm.lead (account_id);
CREATE INDEX lead_contact_id ON crm.lead (contact_id);
CREATE INDEX lead_opportunity_id ON crm.lead (opportunity_id);
CREATE INDEX lead_assigned_user_id ON crm.lead (assigned_user_id);
CREATE INDEX case_name_nocase ON crm."case" (lower(name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX case_account_id ON crm."case" (account_id);
CREATE INDEX case_assigned_user_id ON crm."case" (assigned_user_id);
CREATE INDEX note_name_nocase ON crm.note (lower(name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX note_parent_id ON crm.note (parent_id, parent_type);
CREATE INDEX note_contact_id ON crm.note (contact_id);
CREATE INDEX call_name_nocase ON crm.call (lower(name) COLLATE "C" NULLS FIRST, id);
CREATE INDEX call_parent_id ON crm.call (parent_id, parent_type);
CREATE INDEX call_date_start ON crm.call (date_start);
-- The second column makes the one that is shown (lowest id) a single index probe.
CREATE INDEX account_contact_contact_id ON crm.account_contact (contact_id, id);
CREATE INDEX account_contact_account_id ON crm.account_contact (account_id, contact_id);
CREATE INDEX account_opportunity_opportunity_id ON crm.account_opportunity (opportunity_id, id);
CREATE INDEX account_opportunity_account_id ON crm.account_opportunity (account_id, opportunity_id);
CREATE INDEX opportunity_contact_contact_id ON crm.opportunity_contact (contact_id, opportunity_id);
CREATE INDEX opportunity_contact_opportunity_id ON crm.opportunity_contact (opportunity_id, contact_id);
