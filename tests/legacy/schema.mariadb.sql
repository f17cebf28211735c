-- SPDX-License-Identifier: Apache-2.0
-- The reference CRM's tables for MariaDB, in shape what such a CRM finds or makes there:
-- no foreign keys, ids char(36) that need not be GUIDs, amounts held as double, link rows with
-- nullable ids that are not unique, extension tables (_cstm) whose row may be missing.
-- The column order and names are those of schema.sqlite.sql; a test compares the two.
-- Every statement that a bulk load runs later (ALTER TABLE .. ADD KEY) is at the end.

CREATE TABLE accounts (
    id char(36) NOT NULL,
    name varchar(150),
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    description text,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36),
    account_type varchar(50),
    industry varchar(50),
    annual_revenue varchar(100),
    phone_fax varchar(100),
    billing_address_street varchar(150),
    billing_address_city varchar(100),
    billing_address_state varchar(100),
    billing_address_postalcode varchar(20),
    billing_address_country varchar(255),
    rating varchar(100),
    phone_office varchar(100),
    phone_alternate varchar(100),
    website varchar(255),
    ownership varchar(100),
    employees varchar(10),
    ticker_symbol varchar(10),
    shipping_address_street varchar(150),
    shipping_address_city varchar(100),
    shipping_address_state varchar(100),
    shipping_address_postalcode varchar(20),
    shipping_address_country varchar(255),
    parent_id char(36),
    sic_code varchar(10),
    campaign_id char(36),
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE accounts_cstm (
    id_c char(36) NOT NULL,
    customer_tier_c varchar(20),
    credit_limit_c decimal(26,6),
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE contacts (
    id char(36) NOT NULL,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    description text,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36),
    salutation varchar(255),
    first_name varchar(100),
    last_name varchar(100),
    title varchar(100),
    photo varchar(255),
    department varchar(255),
    do_not_call tinyint(1) DEFAULT 0,
    phone_home varchar(100),
    phone_mobile varchar(100),
    phone_work varchar(100),
    phone_other varchar(100),
    phone_fax varchar(100),
    lawful_basis text,
    date_reviewed date,
    lawful_basis_source varchar(100),
    primary_address_street varchar(150),
    primary_address_city varchar(100),
    primary_address_state varchar(100),
    primary_address_postalcode varchar(20),
    primary_address_country varchar(255),
    alt_address_street varchar(150),
    alt_address_city varchar(100),
    alt_address_state varchar(100),
    alt_address_postalcode varchar(20),
    alt_address_country varchar(255),
    assistant varchar(75),
    assistant_phone varchar(100),
    lead_source varchar(255),
    reports_to_id char(36),
    birthdate date,
    campaign_id char(36),
    joomla_account_id varchar(255),
    portal_account_disabled tinyint(1),
    portal_user_type varchar(100) DEFAULT 'Single',
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE contacts_cstm (
    id_c char(36) NOT NULL,
    newsletter_c tinyint(1) DEFAULT 0,
    preferred_language_c varchar(20),
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE leads (
    id char(36) NOT NULL,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    description text,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36),
    salutation varchar(255),
    first_name varchar(100),
    last_name varchar(100),
    title varchar(100),
    photo varchar(255),
    department varchar(100),
    do_not_call tinyint(1) DEFAULT 0,
    phone_home varchar(100),
    phone_mobile varchar(100),
    phone_work varchar(100),
    phone_other varchar(100),
    phone_fax varchar(100),
    lawful_basis text,
    date_reviewed date,
    lawful_basis_source varchar(100),
    primary_address_street varchar(150),
    primary_address_city varchar(100),
    primary_address_state varchar(100),
    primary_address_postalcode varchar(20),
    primary_address_country varchar(255),
    alt_address_street varchar(150),
    alt_address_city varchar(100),
    alt_address_state varchar(100),
    alt_address_postalcode varchar(20),
    alt_address_country varchar(255),
    assistant varchar(75),
    assistant_phone varchar(100),
    converted tinyint(1) DEFAULT 0,
    refered_by varchar(100),
    lead_source varchar(100),
    lead_source_description text,
    status varchar(100),
    status_description text,
    reports_to_id char(36),
    account_name varchar(255),
    account_description text,
    contact_id char(36),
    account_id char(36),
    opportunity_id char(36),
    opportunity_name varchar(255),
    opportunity_amount varchar(50),
    campaign_id char(36),
    birthdate date,
    portal_name varchar(255),
    portal_app varchar(255),
    website varchar(255),
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE leads_cstm (
    id_c char(36) NOT NULL,
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE opportunities (
    id char(36) NOT NULL,
    name varchar(50),
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    description text,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36),
    opportunity_type varchar(255),
    campaign_id char(36),
    lead_source varchar(50),
    amount double,
    amount_usdollar double,
    currency_id char(36),
    date_closed date,
    next_step varchar(100),
    sales_stage varchar(255),
    probability double,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE opportunities_cstm (
    id_c char(36) NOT NULL,
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE cases (
    id char(36) NOT NULL,
    name varchar(255),
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    description text,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36),
    case_number int(11) NOT NULL AUTO_INCREMENT,
    type varchar(255),
    status varchar(100),
    priority varchar(100),
    resolution text,
    work_log text,
    account_id char(36),
    state varchar(100),
    contact_created_by_id char(36),
    PRIMARY KEY (id),
    UNIQUE KEY cases_number (case_number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE cases_cstm (
    id_c char(36) NOT NULL,
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE calls (
    id char(36) NOT NULL,
    name varchar(50),
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    description text,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36),
    duration_hours int(2),
    duration_minutes int(2),
    date_start datetime,
    date_end datetime,
    parent_type varchar(255),
    status varchar(100) DEFAULT 'Planned',
    direction varchar(100),
    parent_id char(36),
    reminder_time int(11) DEFAULT -1,
    email_reminder_time int(11) DEFAULT -1,
    email_reminder_sent tinyint(1) DEFAULT 0,
    outlook_id varchar(255),
    repeat_type varchar(36),
    repeat_interval int(3) DEFAULT 1,
    repeat_dow varchar(7),
    repeat_until date,
    repeat_count int(7),
    repeat_parent_id char(36),
    recurring_source varchar(36),
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE notes (
    id char(36) NOT NULL,
    name varchar(255),
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    description text,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36),
    file_mime_type varchar(100),
    filename varchar(255),
    parent_type varchar(255),
    parent_id char(36),
    contact_id char(36),
    portal_flag tinyint(1),
    embed_flag tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE users (
    id char(36) NOT NULL,
    user_name varchar(60),
    user_hash varchar(255),
    system_generated_password tinyint(1),
    pwd_last_changed datetime,
    authenticate_id varchar(100),
    sugar_login tinyint(1) DEFAULT 1,
    first_name varchar(255),
    last_name varchar(255),
    is_admin tinyint(1) DEFAULT 0,
    external_auth_only tinyint(1) DEFAULT 0,
    receive_notifications tinyint(1) DEFAULT 1,
    description text,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    title varchar(50),
    photo varchar(255),
    department varchar(50),
    phone_home varchar(50),
    phone_mobile varchar(50),
    phone_work varchar(50),
    phone_other varchar(50),
    phone_fax varchar(50),
    status varchar(100),
    address_street varchar(150),
    address_city varchar(100),
    address_state varchar(100),
    address_country varchar(100),
    address_postalcode varchar(20),
    deleted tinyint(1),
    portal_only tinyint(1) DEFAULT 0,
    show_on_employees tinyint(1) DEFAULT 1,
    employee_status varchar(100),
    messenger_id varchar(100),
    messenger_type varchar(100),
    reports_to_id char(36),
    is_group tinyint(1),
    factor_auth tinyint(1),
    factor_auth_interface varchar(255),
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE accounts_contacts (
    id varchar(36) NOT NULL,
    contact_id varchar(36),
    account_id varchar(36),
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE accounts_opportunities (
    id varchar(36) NOT NULL,
    opportunity_id varchar(36),
    account_id varchar(36),
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE opportunities_contacts (
    id varchar(36) NOT NULL,
    contact_id varchar(36),
    opportunity_id varchar(36),
    contact_role varchar(50),
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE email_addresses (
    id char(36) NOT NULL,
    email_address varchar(255),
    email_address_caps varchar(255),
    invalid_email tinyint(1) DEFAULT 0,
    opt_out tinyint(1) DEFAULT 0,
    confirm_opt_in varchar(255) DEFAULT 'not-opt-in',
    confirm_opt_in_date datetime,
    confirm_opt_in_sent_date datetime,
    confirm_opt_in_fail_date datetime,
    confirm_opt_in_token varchar(255),
    date_created datetime,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE email_addr_bean_rel (
    id char(36) NOT NULL,
    email_address_id char(36) NOT NULL,
    bean_id char(36) NOT NULL,
    bean_module varchar(100),
    primary_address tinyint(1) DEFAULT 0,
    reply_to_address tinyint(1) DEFAULT 0,
    date_created datetime,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE currencies (
    id char(36) NOT NULL,
    name varchar(36),
    symbol varchar(36),
    iso4217 varchar(3),
    conversion_rate double DEFAULT 0,
    status varchar(100),
    deleted tinyint(1) NOT NULL,
    date_entered datetime NOT NULL,
    date_modified datetime NOT NULL,
    created_by char(36) NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE accounts_audit (
    id char(36) NOT NULL,
    parent_id char(36) NOT NULL,
    date_created datetime,
    created_by varchar(36),
    field_name varchar(100),
    data_type varchar(100),
    before_value_string varchar(255),
    after_value_string varchar(255),
    before_value_text text,
    after_value_text text,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE contacts_audit (
    id char(36) NOT NULL,
    parent_id char(36) NOT NULL,
    date_created datetime,
    created_by varchar(36),
    field_name varchar(100),
    data_type varchar(100),
    before_value_string varchar(255),
    after_value_string varchar(255),
    before_value_text text,
    after_value_text text,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE config (
    category varchar(32),
    name varchar(32),
    value text
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE acl_actions (
    id char(36) NOT NULL,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    name varchar(150),
    category varchar(100),
    acltype varchar(100),
    aclaccess int(3),
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE acl_roles (
    id char(36) NOT NULL,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    name varchar(150),
    description text,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE acl_roles_actions (
    id varchar(36) NOT NULL,
    role_id varchar(36),
    action_id varchar(36),
    access_override int(3),
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE acl_roles_users (
    id varchar(36) NOT NULL,
    role_id varchar(36),
    user_id varchar(36),
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE securitygroups (
    id char(36) NOT NULL,
    name varchar(255),
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    description text,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36),
    noninheritable tinyint(1),
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE securitygroups_users (
    id varchar(36) NOT NULL,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    securitygroup_id varchar(36),
    user_id varchar(36),
    primary_group tinyint(1),
    noninheritable tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE securitygroups_records (
    id char(36) NOT NULL,
    securitygroup_id char(36),
    record_id char(36),
    module char(36),
    date_modified datetime,
    modified_user_id char(36),
    created_by char(36),
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE securitygroups_default (
    id char(36) NOT NULL,
    securitygroup_id char(36),
    module varchar(50),
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE securitygroups_acl_roles (
    id varchar(36) NOT NULL,
    securitygroup_id varchar(36),
    role_id varchar(36),
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- Indexes.
ALTER TABLE accounts
    ADD KEY accounts_id (id, deleted),
    ADD KEY accounts_name (name, deleted),
    ADD KEY accounts_deleted (deleted, assigned_user_id),
    ADD KEY accounts_parent_id (parent_id);
ALTER TABLE contacts
    ADD KEY contacts_last_name (last_name, first_name, deleted),
    ADD KEY contacts_deleted (deleted, last_name),
    ADD KEY contacts_reports_to_id (reports_to_id),
    ADD KEY contacts_assigned_user_id (assigned_user_id);
ALTER TABLE leads
    ADD KEY leads_account_name (account_name, first_name),
    ADD KEY leads_last_name (last_name, first_name, deleted),
    ADD KEY leads_deleted (deleted, last_name),
    ADD KEY leads_account_id (account_id),
    ADD KEY leads_contact_id (contact_id),
    ADD KEY leads_opportunity_id (opportunity_id),
    ADD KEY leads_reports_to_id (reports_to_id),
    ADD KEY leads_assigned_user_id (assigned_user_id);
ALTER TABLE opportunities
    ADD KEY opportunities_name (name),
    ADD KEY opportunities_assigned_user_id (assigned_user_id),
    ADD KEY opportunities_id (id, deleted);
ALTER TABLE cases
    ADD KEY cases_name (name),
    ADD KEY cases_account_id (account_id),
    ADD KEY cases_assigned_user_id (assigned_user_id, status);
ALTER TABLE calls
    ADD KEY calls_name (name),
    ADD KEY calls_status (status),
    ADD KEY calls_date_start (date_start),
    ADD KEY calls_parent_id (parent_id, parent_type, deleted),
    ADD KEY calls_assigned_user_id (assigned_user_id);
ALTER TABLE notes
    ADD KEY notes_name (name),
    ADD KEY notes_parent_id (parent_id, parent_type),
    ADD KEY notes_contact_id (contact_id),
    ADD KEY notes_assigned_user_id (assigned_user_id, deleted);
ALTER TABLE users
    ADD KEY users_user_name (user_name, is_group, status, last_name(30), first_name(30), id);
ALTER TABLE accounts_contacts
    ADD KEY accounts_contacts_account_id (account_id, contact_id),
    ADD KEY accounts_contacts_contact_id (contact_id, deleted, account_id);
ALTER TABLE accounts_opportunities
    ADD KEY accounts_opportunities_account_id (account_id, opportunity_id),
    ADD KEY accounts_opportunities_opportunity_id (opportunity_id, deleted, account_id);
ALTER TABLE opportunities_contacts
    ADD KEY opportunities_contacts_contact_id (contact_id),
    ADD KEY opportunities_contacts_opportunity_id (opportunity_id, contact_id);
ALTER TABLE email_addresses
    ADD KEY email_addresses_email_address_caps (email_address_caps, opt_out, invalid_email),
    ADD KEY email_addresses_email_address (email_address, opt_out, invalid_email);
ALTER TABLE email_addr_bean_rel
    ADD KEY email_addr_bean_rel_email_address_id (email_address_id),
    ADD KEY email_addr_bean_rel_bean_id (bean_id, bean_module);
ALTER TABLE currencies
    ADD KEY currencies_name (name, deleted);
ALTER TABLE accounts_audit
    ADD KEY accounts_audit_parent_id (parent_id);
ALTER TABLE contacts_audit
    ADD KEY contacts_audit_parent_id (parent_id);
ALTER TABLE config
    ADD KEY config_category (category);
ALTER TABLE acl_actions
    ADD KEY acl_actions_id (id, deleted),
    ADD KEY acl_actions_category (category, name);
ALTER TABLE acl_roles
    ADD KEY acl_roles_id (id, deleted);
ALTER TABLE acl_roles_actions
    ADD KEY acl_roles_actions_role_id (role_id),
    ADD KEY acl_roles_actions_action_id (action_id);
ALTER TABLE acl_roles_users
    ADD KEY acl_roles_users_role_id (role_id),
    ADD KEY acl_roles_users_user_id (user_id);
ALTER TABLE securitygroups_users
    ADD KEY securitygroups_users_securitygroup_id (securitygroup_id),
    ADD KEY securitygroups_users_user_id (user_id, deleted, securitygroup_id, id);
ALTER TABLE securitygroups_records
    ADD KEY securitygroups_records_module (module, deleted, record_id, securitygroup_id, id),
    ADD KEY securitygroups_records_record_id (record_id);
ALTER TABLE securitygroups_acl_roles
    ADD KEY securitygroups_acl_roles_securitygroup_id (securitygroup_id),
    ADD KEY securitygroups_acl_roles_role_id (role_id);
