# SPDX-License-Identifier: Apache-2.0
"""Which columns the generator fills, in order; the rest of a table keeps its defaults."""

MODULE = {"accounts": "Accounts", "contacts": "Contacts", "leads": "Leads", "opportunities": "Opportunities",
          "cases": "Cases"}

_STAMPS = "date_entered date_modified modified_user_id created_by description deleted assigned_user_id"


def _address(prefix):
    return " ".join(f"{prefix}_address_{part}" for part in ("street", "city", "state", "postalcode", "country"))


_PERSON = ("salutation first_name last_name title department do_not_call phone_home phone_mobile phone_work "
           "phone_other phone_fax " + _address("primary"))
_AUDIT = ("id parent_id date_created created_by field_name data_type before_value_string after_value_string")

_COLUMNS = {
    "accounts": f"id name {_STAMPS} account_type industry annual_revenue phone_fax {_address('billing')} rating "
                f"phone_office phone_alternate website ownership employees ticker_symbol {_address('shipping')} "
                "parent_id sic_code",
    "accounts_cstm": "id_c customer_tier_c credit_limit_c",
    "contacts": f"id {_STAMPS} {_PERSON} {_address('alt')} lead_source reports_to_id birthdate",
    "contacts_cstm": "id_c newsletter_c preferred_language_c",
    "leads": f"id {_STAMPS} {_PERSON} converted lead_source status account_name contact_id account_id "
             "opportunity_name opportunity_amount birthdate website",
    "leads_cstm": "id_c",
    "opportunities": f"id name {_STAMPS} opportunity_type lead_source amount amount_usdollar currency_id "
                     "date_closed next_step sales_stage probability",
    "opportunities_cstm": "id_c",
    "cases": f"id name {_STAMPS} case_number type status priority resolution account_id state",
    "cases_cstm": "id_c",
    "calls": f"id name {_STAMPS} duration_hours duration_minutes date_start date_end parent_type status direction "
             "parent_id reminder_time",
    "notes": f"id name {_STAMPS} file_mime_type filename parent_type parent_id contact_id portal_flag embed_flag",
    "accounts_contacts": "id contact_id account_id date_modified deleted",
    "accounts_opportunities": "id opportunity_id account_id date_modified deleted",
    "opportunities_contacts": "id contact_id opportunity_id date_modified deleted contact_role",
    "email_addresses": "id email_address email_address_caps invalid_email opt_out date_created date_modified deleted",
    "email_addr_bean_rel": "id email_address_id bean_id bean_module primary_address reply_to_address date_created "
                           "date_modified deleted",
    "accounts_audit": _AUDIT,
    "contacts_audit": _AUDIT,
    "users": "id user_name user_hash first_name last_name is_admin external_auth_only date_entered date_modified "
             "modified_user_id created_by status deleted portal_only employee_status is_group",
    "currencies": "id name symbol iso4217 conversion_rate status deleted date_entered date_modified created_by",
    "config": "category name value",
    "acl_actions": "id date_entered date_modified modified_user_id created_by name category acltype aclaccess deleted",
    "acl_roles": "id date_entered date_modified modified_user_id created_by name description deleted",
    "acl_roles_actions": "id role_id action_id access_override date_modified deleted",
    "acl_roles_users": "id role_id user_id date_modified deleted",
    "securitygroups": f"id name {_STAMPS} noninheritable",
    "securitygroups_users": "id date_modified deleted securitygroup_id user_id primary_group noninheritable",
    "securitygroups_records": "id securitygroup_id record_id module date_modified modified_user_id created_by deleted",
    "securitygroups_default": "id securitygroup_id module date_modified deleted",
    "securitygroups_acl_roles": "id securitygroup_id role_id date_modified deleted",
}
COLUMNS = {table: tuple(names.split()) for table, names in _COLUMNS.items()}
AT = {table: {name: i for i, name in enumerate(names)} for table, names in COLUMNS.items()}
