-- SPDX-License-Identifier: Apache-2.0
-- The reference CRM's tables for SQLite, so declared that they behave as on MariaDB:
-- - text and ids compare without case (NOCASE knows ASCII only, MariaDB also folds accents);
-- - date and datetime are text, 'YYYY-MM-DD' and 'YYYY-MM-DD HH:MM:SS', UTC without zone, and
--   like a MySQL without strict mode they take '0000-00-00';
-- - no foreign keys, link rows need not be unique, an extension row may be missing.
-- The column order and names are those of schema.mariadb.sql; a test compares the two.
-- Every statement that a bulk load runs later (CREATE INDEX) is at the end.

CREATE TABLE accounts (
    id char(36) COLLATE NOCASE NOT NULL,
    name varchar(150) COLLATE NOCASE,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36) COLLATE NOCASE,
    account_type varchar(50) COLLATE NOCASE,
    industry varchar(50) COLLATE NOCASE,
    annual_revenue varchar(100) COLLATE NOCASE,
    phone_fax varchar(100) COLLATE NOCASE,
    billing_address_street varchar(150) COLLATE NOCASE,
    billing_address_city varchar(100) COLLATE NOCASE,
    billing_address_state varchar(100) COLLATE NOCASE,
    billing_address_postalcode varchar(20) COLLATE NOCASE,
    billing_address_country varchar(255) COLLATE NOCASE,
    rating varchar(100) COLLATE NOCASE,
    phone_office varchar(100) COLLATE NOCASE,
    phone_alternate varchar(100) COLLATE NOCASE,
    website varchar(255) COLLATE NOCASE,
    ownership varchar(100) COLLATE NOCASE,
    employees varchar(10) COLLATE NOCASE,
    ticker_symbol varchar(10) COLLATE NOCASE,
    shipping_address_street varchar(150) COLLATE NOCASE,
    shipping_address_city varchar(100) COLLATE NOCASE,
    shipping_address_state varchar(100) COLLATE NOCASE,
    shipping_address_postalcode varchar(20) COLLATE NOCASE,
    shipping_address_country varchar(255) COLLATE NOCASE,
    parent_id char(36) COLLATE NOCASE,
    sic_code varchar(10) COLLATE NOCASE,
    campaign_id char(36) COLLATE NOCASE,
    PRIMARY KEY (id)
);

CREATE TABLE accounts_cstm (
    id_c char(36) COLLATE NOCASE NOT NULL,
    customer_tier_c varchar(20) COLLATE NOCASE,
    credit_limit_c decimal(26,6),
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255) COLLATE NOCASE,
    jjwg_maps_address_c varchar(255) COLLATE NOCASE,
    PRIMARY KEY (id_c)
);

CREATE TABLE contacts (
    id char(36) COLLATE NOCASE NOT NULL,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36) COLLATE NOCASE,
    salutation varchar(255) COLLATE NOCASE,
    first_name varchar(100) COLLATE NOCASE,
    last_name varchar(100) COLLATE NOCASE,
    title varchar(100) COLLATE NOCASE,
    photo varchar(255) COLLATE NOCASE,
    department varchar(255) COLLATE NOCASE,
    do_not_call tinyint(1) DEFAULT 0,
    phone_home varchar(100) COLLATE NOCASE,
    phone_mobile varchar(100) COLLATE NOCASE,
    phone_work varchar(100) COLLATE NOCASE,
    phone_other varchar(100) COLLATE NOCASE,
    phone_fax varchar(100) COLLATE NOCASE,
    lawful_basis text COLLATE NOCASE,
    date_reviewed date,
    lawful_basis_source varchar(100) COLLATE NOCASE,
    primary_address_street varchar(150) COLLATE NOCASE,
    primary_address_city varchar(100) COLLATE NOCASE,
    primary_address_state varchar(100) COLLATE NOCASE,
    primary_address_postalcode varchar(20) COLLATE NOCASE,
    primary_address_country varchar(255) COLLATE NOCASE,
    alt_address_street varchar(150) COLLATE NOCASE,
    alt_address_city varchar(100) COLLATE NOCASE,
    alt_address_state varchar(100) COLLATE NOCASE,
    alt_address_postalcode varchar(20) COLLATE NOCASE,
    alt_address_country varchar(255) COLLATE NOCASE,
    assistant varchar(75) COLLATE NOCASE,
    assistant_phone varchar(100) COLLATE NOCASE,
    lead_source varchar(255) COLLATE NOCASE,
    reports_to_id char(36) COLLATE NOCASE,
    birthdate date,
    campaign_id char(36) COLLATE NOCASE,
    joomla_account_id varchar(255) COLLATE NOCASE,
    portal_account_disabled tinyint(1),
    portal_user_type varchar(100) COLLATE NOCASE DEFAULT 'Single',
    PRIMARY KEY (id)
);

CREATE TABLE contacts_cstm (
    id_c char(36) COLLATE NOCASE NOT NULL,
    newsletter_c tinyint(1) DEFAULT 0,
    preferred_language_c varchar(20) COLLATE NOCASE,
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255) COLLATE NOCASE,
    jjwg_maps_address_c varchar(255) COLLATE NOCASE,
    PRIMARY KEY (id_c)
);

CREATE TABLE leads (
    id char(36) COLLATE NOCASE NOT NULL,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36) COLLATE NOCASE,
    salutation varchar(255) COLLATE NOCASE,
    first_name varchar(100) COLLATE NOCASE,
    last_name varchar(100) COLLATE NOCASE,
    title varchar(100) COLLATE NOCASE,
    photo varchar(255) COLLATE NOCASE,
    department varchar(100) COLLATE NOCASE,
    do_not_call tinyint(1) DEFAULT 0,
    phone_home varchar(100) COLLATE NOCASE,
    phone_mobile varchar(100) COLLATE NOCASE,
    phone_work varchar(100) COLLATE NOCASE,
    phone_other varchar(100) COLLATE NOCASE,
    phone_fax varchar(100) COLLATE NOCASE,
    lawful_basis text COLLATE NOCASE,
    date_reviewed date,
    lawful_basis_source varchar(100) COLLATE NOCASE,
    primary_address_street varchar(150) COLLATE NOCASE,
    primary_address_city varchar(100) COLLATE NOCASE,
    primary_address_state varchar(100) COLLATE NOCASE,
    primary_address_postalcode varchar(20) COLLATE NOCASE,
    primary_address_country varchar(255) COLLATE NOCASE,
    alt_address_street varchar(150) COLLATE NOCASE,
    alt_address_city varchar(100) COLLATE NOCASE,
    alt_address_state varchar(100) COLLATE NOCASE,
    alt_address_postalcode varchar(20) COLLATE NOCASE,
    alt_address_country varchar(255) COLLATE NOCASE,
    assistant varchar(75) COLLATE NOCASE,
    assistant_phone varchar(100) COLLATE NOCASE,
    converted tinyint(1) DEFAULT 0,
    refered_by varchar(100) COLLATE NOCASE,
    lead_source varchar(100) COLLATE NOCASE,
    lead_source_description text COLLATE NOCASE,
    status varchar(100) COLLATE NOCASE,
    status_description text COLLATE NOCASE,
    reports_to_id char(36) COLLATE NOCASE,
    account_name varchar(255) COLLATE NOCASE,
    account_description text COLLATE NOCASE,
    contact_id char(36) COLLATE NOCASE,
    account_id char(36) COLLATE NOCASE,
    opportunity_id char(36) COLLATE NOCASE,
    opportunity_name varchar(255) COLLATE NOCASE,
    opportunity_amount varchar(50) COLLATE NOCASE,
    campaign_id char(36) COLLATE NOCASE,
    birthdate date,
    portal_name varchar(255) COLLATE NOCASE,
    portal_app varchar(255) COLLATE NOCASE,
    website varchar(255) COLLATE NOCASE,
    PRIMARY KEY (id)
);

CREATE TABLE leads_cstm (
    id_c char(36) COLLATE NOCASE NOT NULL,
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255) COLLATE NOCASE,
    jjwg_maps_address_c varchar(255) COLLATE NOCASE,
    PRIMARY KEY (id_c)
);

CREATE TABLE opportunities (
    id char(36) COLLATE NOCASE NOT NULL,
    name varchar(50) COLLATE NOCASE,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36) COLLATE NOCASE,
    opportunity_type varchar(255) COLLATE NOCASE,
    campaign_id char(36) COLLATE NOCASE,
    lead_source varchar(50) COLLATE NOCASE,
    amount double,
    amount_usdollar double,
    currency_id char(36) COLLATE NOCASE,
    date_closed date,
    next_step varchar(100) COLLATE NOCASE,
    sales_stage varchar(255) COLLATE NOCASE,
    probability double,
    PRIMARY KEY (id)
);

CREATE TABLE opportunities_cstm (
    id_c char(36) COLLATE NOCASE NOT NULL,
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255) COLLATE NOCASE,
    jjwg_maps_address_c varchar(255) COLLATE NOCASE,
    PRIMARY KEY (id_c)
);

CREATE TABLE cases (
    id char(36) COLLATE NOCASE NOT NULL,
    name varchar(255) COLLATE NOCASE,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36) COLLATE NOCASE,
    case_number int(11),
    type varchar(255) COLLATE NOCASE,
    status varchar(100) COLLATE NOCASE,
    priority varchar(100) COLLATE NOCASE,
    resolution text COLLATE NOCASE,
    work_log text COLLATE NOCASE,
    account_id char(36) COLLATE NOCASE,
    state varchar(100) COLLATE NOCASE,
    contact_created_by_id char(36) COLLATE NOCASE,
    PRIMARY KEY (id),
    UNIQUE (case_number)
);

CREATE TABLE cases_cstm (
    id_c char(36) COLLATE NOCASE NOT NULL,
    jjwg_maps_lng_c double DEFAULT 0,
    jjwg_maps_lat_c double DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255) COLLATE NOCASE,
    jjwg_maps_address_c varchar(255) COLLATE NOCASE,
    PRIMARY KEY (id_c)
);

CREATE TABLE calls (
    id char(36) COLLATE NOCASE NOT NULL,
    name varchar(50) COLLATE NOCASE,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36) COLLATE NOCASE,
    duration_hours int(2),
    duration_minutes int(2),
    date_start datetime,
    date_end datetime,
    parent_type varchar(255) COLLATE NOCASE,
    status varchar(100) COLLATE NOCASE DEFAULT 'Planned',
    direction varchar(100) COLLATE NOCASE,
    parent_id char(36) COLLATE NOCASE,
    reminder_time int(11) DEFAULT -1,
    email_reminder_time int(11) DEFAULT -1,
    email_reminder_sent tinyint(1) DEFAULT 0,
    outlook_id varchar(255) COLLATE NOCASE,
    repeat_type varchar(36) COLLATE NOCASE,
    repeat_interval int(3) DEFAULT 1,
    repeat_dow varchar(7) COLLATE NOCASE,
    repeat_until date,
    repeat_count int(7),
    repeat_parent_id char(36) COLLATE NOCASE,
    recurring_source varchar(36) COLLATE NOCASE,
    PRIMARY KEY (id)
);

CREATE TABLE notes (
    id char(36) COLLATE NOCASE NOT NULL,
    name varchar(255) COLLATE NOCASE,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36) COLLATE NOCASE,
    file_mime_type varchar(100) COLLATE NOCASE,
    filename varchar(255) COLLATE NOCASE,
    parent_type varchar(255) COLLATE NOCASE,
    parent_id char(36) COLLATE NOCASE,
    contact_id char(36) COLLATE NOCASE,
    portal_flag tinyint(1),
    embed_flag tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE users (
    id char(36) COLLATE NOCASE NOT NULL,
    user_name varchar(60) COLLATE NOCASE,
    user_hash varchar(255) COLLATE NOCASE,
    system_generated_password tinyint(1),
    pwd_last_changed datetime,
    authenticate_id varchar(100) COLLATE NOCASE,
    sugar_login tinyint(1) DEFAULT 1,
    first_name varchar(255) COLLATE NOCASE,
    last_name varchar(255) COLLATE NOCASE,
    is_admin tinyint(1) DEFAULT 0,
    external_auth_only tinyint(1) DEFAULT 0,
    receive_notifications tinyint(1) DEFAULT 1,
    description text COLLATE NOCASE,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    title varchar(50) COLLATE NOCASE,
    photo varchar(255) COLLATE NOCASE,
    department varchar(50) COLLATE NOCASE,
    phone_home varchar(50) COLLATE NOCASE,
    phone_mobile varchar(50) COLLATE NOCASE,
    phone_work varchar(50) COLLATE NOCASE,
    phone_other varchar(50) COLLATE NOCASE,
    phone_fax varchar(50) COLLATE NOCASE,
    status varchar(100) COLLATE NOCASE,
    address_street varchar(150) COLLATE NOCASE,
    address_city varchar(100) COLLATE NOCASE,
    address_state varchar(100) COLLATE NOCASE,
    address_country varchar(100) COLLATE NOCASE,
    address_postalcode varchar(20) COLLATE NOCASE,
    deleted tinyint(1),
    portal_only tinyint(1) DEFAULT 0,
    show_on_employees tinyint(1) DEFAULT 1,
    employee_status varchar(100) COLLATE NOCASE,
    messenger_id varchar(100) COLLATE NOCASE,
    messenger_type varchar(100) COLLATE NOCASE,
    reports_to_id char(36) COLLATE NOCASE,
    is_group tinyint(1),
    factor_auth tinyint(1),
    factor_auth_interface varchar(255) COLLATE NOCASE,
    PRIMARY KEY (id)
);

CREATE TABLE accounts_contacts (
    id varchar(36) COLLATE NOCASE NOT NULL,
    contact_id varchar(36) COLLATE NOCASE,
    account_id varchar(36) COLLATE NOCASE,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE accounts_opportunities (
    id varchar(36) COLLATE NOCASE NOT NULL,
    opportunity_id varchar(36) COLLATE NOCASE,
    account_id varchar(36) COLLATE NOCASE,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE opportunities_contacts (
    id varchar(36) COLLATE NOCASE NOT NULL,
    contact_id varchar(36) COLLATE NOCASE,
    opportunity_id varchar(36) COLLATE NOCASE,
    contact_role varchar(50) COLLATE NOCASE,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE email_addresses (
    id char(36) COLLATE NOCASE NOT NULL,
    email_address varchar(255) COLLATE NOCASE,
    email_address_caps varchar(255) COLLATE NOCASE,
    invalid_email tinyint(1) DEFAULT 0,
    opt_out tinyint(1) DEFAULT 0,
    confirm_opt_in varchar(255) COLLATE NOCASE DEFAULT 'not-opt-in',
    confirm_opt_in_date datetime,
    confirm_opt_in_sent_date datetime,
    confirm_opt_in_fail_date datetime,
    confirm_opt_in_token varchar(255) COLLATE NOCASE,
    date_created datetime,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE email_addr_bean_rel (
    id char(36) COLLATE NOCASE NOT NULL,
    email_address_id char(36) COLLATE NOCASE NOT NULL,
    bean_id char(36) COLLATE NOCASE NOT NULL,
    bean_module varchar(100) COLLATE NOCASE,
    primary_address tinyint(1) DEFAULT 0,
    reply_to_address tinyint(1) DEFAULT 0,
    date_created datetime,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE currencies (
    id char(36) COLLATE NOCASE NOT NULL,
    name varchar(36) COLLATE NOCASE,
    symbol varchar(36) COLLATE NOCASE,
    iso4217 varchar(3) COLLATE NOCASE,
    conversion_rate double DEFAULT 0,
    status varchar(100) COLLATE NOCASE,
    deleted tinyint(1) NOT NULL,
    date_entered datetime NOT NULL,
    date_modified datetime NOT NULL,
    created_by char(36) COLLATE NOCASE NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE accounts_audit (
    id char(36) COLLATE NOCASE NOT NULL,
    parent_id char(36) COLLATE NOCASE NOT NULL,
    date_created datetime,
    created_by varchar(36) COLLATE NOCASE,
    field_name varchar(100) COLLATE NOCASE,
    data_type varchar(100) COLLATE NOCASE,
    before_value_string varchar(255) COLLATE NOCASE,
    after_value_string varchar(255) COLLATE NOCASE,
    before_value_text text COLLATE NOCASE,
    after_value_text text COLLATE NOCASE,
    PRIMARY KEY (id)
);

CREATE TABLE contacts_audit (
    id char(36) COLLATE NOCASE NOT NULL,
    parent_id char(36) COLLATE NOCASE NOT NULL,
    date_created datetime,
    created_by varchar(36) COLLATE NOCASE,
    field_name varchar(100) COLLATE NOCASE,
    data_type varchar(100) COLLATE NOCASE,
    before_value_string varchar(255) COLLATE NOCASE,
    after_value_string varchar(255) COLLATE NOCASE,
    before_value_text text COLLATE NOCASE,
    after_value_text text COLLATE NOCASE,
    PRIMARY KEY (id)
);

CREATE TABLE config (
    category varchar(32) COLLATE NOCASE,
    name varchar(32) COLLATE NOCASE,
    value text COLLATE NOCASE
);

CREATE TABLE acl_actions (
    id char(36) COLLATE NOCASE NOT NULL,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    name varchar(150) COLLATE NOCASE,
    category varchar(100) COLLATE NOCASE,
    acltype varchar(100) COLLATE NOCASE,
    aclaccess int(3),
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE acl_roles (
    id char(36) COLLATE NOCASE NOT NULL,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    name varchar(150) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE acl_roles_actions (
    id varchar(36) COLLATE NOCASE NOT NULL,
    role_id varchar(36) COLLATE NOCASE,
    action_id varchar(36) COLLATE NOCASE,
    access_override int(3),
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE acl_roles_users (
    id varchar(36) COLLATE NOCASE NOT NULL,
    role_id varchar(36) COLLATE NOCASE,
    user_id varchar(36) COLLATE NOCASE,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups (
    id char(36) COLLATE NOCASE NOT NULL,
    name varchar(255) COLLATE NOCASE,
    date_entered datetime,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    description text COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36) COLLATE NOCASE,
    noninheritable tinyint(1),
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups_users (
    id varchar(36) COLLATE NOCASE NOT NULL,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    securitygroup_id varchar(36) COLLATE NOCASE,
    user_id varchar(36) COLLATE NOCASE,
    primary_group tinyint(1),
    noninheritable tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups_records (
    id char(36) COLLATE NOCASE NOT NULL,
    securitygroup_id char(36) COLLATE NOCASE,
    record_id char(36) COLLATE NOCASE,
    module char(36) COLLATE NOCASE,
    date_modified datetime,
    modified_user_id char(36) COLLATE NOCASE,
    created_by char(36) COLLATE NOCASE,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups_default (
    id char(36) COLLATE NOCASE NOT NULL,
    securitygroup_id char(36) COLLATE NOCASE,
    module varchar(50) COLLATE NOCASE,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups_acl_roles (
    id varchar(36) COLLATE NOCASE NOT NULL,
    securitygroup_id varchar(36) COLLATE NOCASE,
    role_id varchar(36) COLLATE NOCASE,
    date_modified datetime,
    deleted tinyint(1) DEFAULT 0,
    PRIMARY KEY (id)
);

-- Stands in for AUTO_INCREMENT beside a char key: a case without a number (or with 0) gets the
-- next one, and a number once given is never given again, even after its case is deleted.
CREATE TABLE auto_numbers (
    name varchar(64) NOT NULL,
    last int NOT NULL,
    PRIMARY KEY (name)
);

INSERT INTO auto_numbers (name, last) VALUES ('cases', 0);

CREATE TRIGGER cases_number_made AFTER INSERT ON cases
WHEN NEW.case_number IS NULL OR NEW.case_number = 0
BEGIN
    UPDATE auto_numbers SET last = last + 1 WHERE name = 'cases';
    UPDATE cases SET case_number = (SELECT last FROM auto_numbers WHERE name = 'cases')
        WHERE rowid = NEW.rowid;
END;

CREATE TRIGGER cases_number_given AFTER INSERT ON cases
WHEN NEW.case_number > 0
BEGIN
    UPDATE auto_numbers SET last = NEW.case_number
        WHERE name = 'cases' AND last < NEW.case_number;
END;

-- Indexes.
CREATE INDEX accounts_id ON accounts (id, deleted);
CREATE INDEX accounts_name ON accounts (name, deleted);
CREATE INDEX accounts_deleted ON accounts (deleted, assigned_user_id);
CREATE INDEX accounts_parent_id ON accounts (parent_id);
CREATE INDEX contacts_last_name ON contacts (last_name, first_name, deleted);
CREATE INDEX contacts_deleted ON contacts (deleted, last_name);
CREATE INDEX contacts_reports_to_id ON contacts (reports_to_id);
CREATE INDEX contacts_assigned_user_id ON contacts (assigned_user_id);
CREATE INDEX leads_account_name ON leads (account_name, first_name);
CREATE INDEX leads_last_name ON leads (last_name, first_name, deleted);
CREATE INDEX leads_deleted ON leads (deleted, last_name);
CREATE INDEX leads_account_id ON leads (account_id);
CREATE INDEX leads_contact_id ON leads (contact_id);
CREATE INDEX leads_opportunity_id ON leads (opportunity_id);
CREATE INDEX leads_reports_to_id ON leads (reports_to_id);
CREATE INDEX leads_assigned_user_id ON leads (assigned_user_id);
CREATE INDEX opportunities_name ON opportunities (name);
CREATE INDEX opportunities_assigned_user_id ON opportunities (assigned_user_id);
CREATE INDEX opportunities_id ON opportunities (id, deleted);
CREATE INDEX cases_name ON cases (name);
CREATE INDEX cases_account_id ON cases (account_id);
CREATE INDEX cases_assigned_user_id ON cases (assigned_user_id, status);
CREATE INDEX calls_name ON calls (name);
CREATE INDEX calls_status ON calls (status);
CREATE INDEX calls_date_start ON calls (date_start);
CREATE INDEX calls_parent_id ON calls (parent_id, parent_type, deleted);
CREATE INDEX calls_assigned_user_id ON calls (assigned_user_id);
CREATE INDEX notes_name ON notes (name);
CREATE INDEX notes_parent_id ON notes (parent_id, parent_type);
CREATE INDEX notes_contact_id ON notes (contact_id);
CREATE INDEX notes_assigned_user_id ON notes (assigned_user_id, deleted);
CREATE INDEX users_user_name ON users (user_name, is_group, status, last_name, first_name, id);
CREATE INDEX accounts_contacts_account_id ON accounts_contacts (account_id, contact_id);
CREATE INDEX accounts_contacts_contact_id ON accounts_contacts (contact_id, deleted, account_id);
CREATE INDEX accounts_opportunities_account_id
    ON accounts_opportunities (account_id, opportunity_id);
CREATE INDEX accounts_opportunities_opportunity_id
    ON accounts_opportunities (opportunity_id, deleted, account_id);
CREATE INDEX opportunities_contacts_contact_id ON opportunities_contacts (contact_id);
CREATE INDEX opportunities_contacts_opportunity_id
    ON opportunities_contacts (opportunity_id, contact_id);
CREATE INDEX email_addresses_email_address_caps
    ON email_addresses (email_address_caps, opt_out, invalid_email);
CREATE INDEX email_addresses_email_address
    ON email_addresses (email_address, opt_out, invalid_email);
CREATE INDEX email_addr_bean_rel_email_address_id ON email_addr_bean_rel (email_address_id);
CREATE INDEX email_addr_bean_rel_bean_id ON email_addr_bean_rel (bean_id, bean_module);
CREATE INDEX currencies_name ON currencies (name, deleted);
CREATE INDEX accounts_audit_parent_id ON accounts_audit (parent_id);
CREATE INDEX contacts_audit_parent_id ON contacts_audit (parent_id);
CREATE INDEX config_category ON config (category);
CREATE INDEX acl_actions_id ON acl_actions (id, deleted);
CREATE INDEX acl_actions_category ON acl_actions (category, name);
CREATE INDEX acl_roles_id ON acl_roles (id, deleted);
CREATE INDEX acl_roles_actions_role_id ON acl_roles_actions (role_id);
CREATE INDEX acl_roles_actions_action_id ON acl_roles_actions (action_id);
CREATE INDEX acl_roles_users_role_id ON acl_roles_users (role_id);
CREATE INDEX acl_roles_users_user_id ON acl_roles_users (user_id);
CREATE INDEX securitygroups_users_securitygroup_id ON securitygroups_users (securitygroup_id);
CREATE INDEX securitygroups_users_user_id
    ON securitygroups_users (user_id, deleted, securitygroup_id, id);
CREATE INDEX securitygroups_records_module
    ON securitygroups_records (module, deleted, record_id, securitygroup_id, id);
CREATE INDEX securitygroups_records_record_id ON securitygroups_records (record_id);
CREATE INDEX securitygroups_acl_roles_securitygroup_id
    ON securitygroups_acl_roles (securitygroup_id);
CREATE INDEX securitygroups_acl_roles_role_id ON securitygroups_acl_roles (role_id);
