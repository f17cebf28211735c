-- SPDX-License-Identifier: Apache-2.0
-- The reference CRM's tables for PostgreSQL: as a vendor's port of such a CRM would have them.
-- Made from schema.sqlite.sql: the same tables, columns and order (a test compares the names).
-- Text compares with case, ids are varchar (a client of PostgreSQL sees char(36) with its
-- blanks), and a date that does not exist cannot be held: the loader leaves such dirt NULL.

CREATE TABLE accounts (
    id varchar(36) NOT NULL,
    name varchar(150),
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    description text,
    deleted smallint DEFAULT 0,
    assigned_user_id varchar(36),
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
    parent_id varchar(36),
    sic_code varchar(10),
    campaign_id varchar(36),
    PRIMARY KEY (id)
);

CREATE TABLE accounts_cstm (
    id_c varchar(36) NOT NULL,
    customer_tier_c varchar(20),
    credit_limit_c decimal(26,6),
    jjwg_maps_lng_c double precision DEFAULT 0,
    jjwg_maps_lat_c double precision DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
);

CREATE TABLE contacts (
    id varchar(36) NOT NULL,
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    description text,
    deleted smallint DEFAULT 0,
    assigned_user_id varchar(36),
    salutation varchar(255),
    first_name varchar(100),
    last_name varchar(100),
    title varchar(100),
    photo varchar(255),
    department varchar(255),
    do_not_call smallint DEFAULT 0,
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
    reports_to_id varchar(36),
    birthdate date,
    campaign_id varchar(36),
    joomla_account_id varchar(255),
    portal_account_disabled smallint,
    portal_user_type varchar(100) DEFAULT 'Single',
    PRIMARY KEY (id)
);

CREATE TABLE contacts_cstm (
    id_c varchar(36) NOT NULL,
    newsletter_c smallint DEFAULT 0,
    preferred_language_c varchar(20),
    jjwg_maps_lng_c double precision DEFAULT 0,
    jjwg_maps_lat_c double precision DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
);

CREATE TABLE leads (
    id varchar(36) NOT NULL,
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    description text,
    deleted smallint DEFAULT 0,
    assigned_user_id varchar(36),
    salutation varchar(255),
    first_name varchar(100),
    last_name varchar(100),
    title varchar(100),
    photo varchar(255),
    department varchar(100),
    do_not_call smallint DEFAULT 0,
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
    converted smallint DEFAULT 0,
    refered_by varchar(100),
    lead_source varchar(100),
    lead_source_description text,
    status varchar(100),
    status_description text,
    reports_to_id varchar(36),
    account_name varchar(255),
    account_description text,
    contact_id varchar(36),
    account_id varchar(36),
    opportunity_id varchar(36),
    opportunity_name varchar(255),
    opportunity_amount varchar(50),
    campaign_id varchar(36),
    birthdate date,
    portal_name varchar(255),
    portal_app varchar(255),
    website varchar(255),
    PRIMARY KEY (id)
);

CREATE TABLE leads_cstm (
    id_c varchar(36) NOT NULL,
    jjwg_maps_lng_c double precision DEFAULT 0,
    jjwg_maps_lat_c double precision DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
);

CREATE TABLE opportunities (
    id varchar(36) NOT NULL,
    name varchar(50),
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    description text,
    deleted smallint DEFAULT 0,
    assigned_user_id varchar(36),
    opportunity_type varchar(255),
    campaign_id varchar(36),
    lead_source varchar(50),
    amount double precision,
    amount_usdollar double precision,
    currency_id varchar(36),
    date_closed date,
    next_step varchar(100),
    sales_stage varchar(255),
    probability double precision,
    PRIMARY KEY (id)
);

CREATE TABLE opportunities_cstm (
    id_c varchar(36) NOT NULL,
    jjwg_maps_lng_c double precision DEFAULT 0,
    jjwg_maps_lat_c double precision DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
);

CREATE TABLE cases (
    id varchar(36) NOT NULL,
    name varchar(255),
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    description text,
    deleted smallint DEFAULT 0,
    assigned_user_id varchar(36),
    case_number integer,
    type varchar(255),
    status varchar(100),
    priority varchar(100),
    resolution text,
    work_log text,
    account_id varchar(36),
    state varchar(100),
    contact_created_by_id varchar(36),
    PRIMARY KEY (id),
    UNIQUE (case_number)
);

CREATE TABLE cases_cstm (
    id_c varchar(36) NOT NULL,
    jjwg_maps_lng_c double precision DEFAULT 0,
    jjwg_maps_lat_c double precision DEFAULT 0,
    jjwg_maps_geocode_status_c varchar(255),
    jjwg_maps_address_c varchar(255),
    PRIMARY KEY (id_c)
);

CREATE TABLE calls (
    id varchar(36) NOT NULL,
    name varchar(50),
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    description text,
    deleted smallint DEFAULT 0,
    assigned_user_id varchar(36),
    duration_hours integer,
    duration_minutes integer,
    date_start timestamp,
    date_end timestamp,
    parent_type varchar(255),
    status varchar(100) DEFAULT 'Planned',
    direction varchar(100),
    parent_id varchar(36),
    reminder_time integer DEFAULT -1,
    email_reminder_time integer DEFAULT -1,
    email_reminder_sent smallint DEFAULT 0,
    outlook_id varchar(255),
    repeat_type varchar(36),
    repeat_interval integer DEFAULT 1,
    repeat_dow varchar(7),
    repeat_until date,
    repeat_count integer,
    repeat_parent_id varchar(36),
    recurring_source varchar(36),
    PRIMARY KEY (id)
);

CREATE TABLE notes (
    id varchar(36) NOT NULL,
    name varchar(255),
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    description text,
    deleted smallint DEFAULT 0,
    assigned_user_id varchar(36),
    file_mime_type varchar(100),
    filename varchar(255),
    parent_type varchar(255),
    parent_id varchar(36),
    contact_id varchar(36),
    portal_flag smallint,
    embed_flag smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE users (
    id varchar(36) NOT NULL,
    user_name varchar(60),
    user_hash varchar(255),
    system_generated_password smallint,
    pwd_last_changed timestamp,
    authenticate_id varchar(100),
    sugar_login smallint DEFAULT 1,
    first_name varchar(255),
    last_name varchar(255),
    is_admin smallint DEFAULT 0,
    external_auth_only smallint DEFAULT 0,
    receive_notifications smallint DEFAULT 1,
    description text,
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
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
    deleted smallint,
    portal_only smallint DEFAULT 0,
    show_on_employees smallint DEFAULT 1,
    employee_status varchar(100),
    messenger_id varchar(100),
    messenger_type varchar(100),
    reports_to_id varchar(36),
    is_group smallint,
    factor_auth smallint,
    factor_auth_interface varchar(255),
    PRIMARY KEY (id)
);

CREATE TABLE accounts_contacts (
    id varchar(36) NOT NULL,
    contact_id varchar(36),
    account_id varchar(36),
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE accounts_opportunities (
    id varchar(36) NOT NULL,
    opportunity_id varchar(36),
    account_id varchar(36),
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE opportunities_contacts (
    id varchar(36) NOT NULL,
    contact_id varchar(36),
    opportunity_id varchar(36),
    contact_role varchar(50),
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE email_addresses (
    id varchar(36) NOT NULL,
    email_address varchar(255),
    email_address_caps varchar(255),
    invalid_email smallint DEFAULT 0,
    opt_out smallint DEFAULT 0,
    confirm_opt_in varchar(255) DEFAULT 'not-opt-in',
    confirm_opt_in_date timestamp,
    confirm_opt_in_sent_date timestamp,
    confirm_opt_in_fail_date timestamp,
    confirm_opt_in_token varchar(255),
    date_created timestamp,
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE email_addr_bean_rel (
    id varchar(36) NOT NULL,
    email_address_id varchar(36) NOT NULL,
    bean_id varchar(36) NOT NULL,
    bean_module varchar(100),
    primary_address smallint DEFAULT 0,
    reply_to_address smallint DEFAULT 0,
    date_created timestamp,
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE currencies (
    id varchar(36) NOT NULL,
    name varchar(36),
    symbol varchar(36),
    iso4217 varchar(3),
    conversion_rate double precision DEFAULT 0,
    status varchar(100),
    deleted smallint NOT NULL,
    date_entered timestamp NOT NULL,
    date_modified timestamp NOT NULL,
    created_by varchar(36) NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE accounts_audit (
    id varchar(36) NOT NULL,
    parent_id varchar(36) NOT NULL,
    date_created timestamp,
    created_by varchar(36),
    field_name varchar(100),
    data_type varchar(100),
    before_value_string varchar(255),
    after_value_string varchar(255),
    before_value_text text,
    after_value_text text,
    PRIMARY KEY (id)
);

CREATE TABLE contacts_audit (
    id varchar(36) NOT NULL,
    parent_id varchar(36) NOT NULL,
    date_created timestamp,
    created_by varchar(36),
    field_name varchar(100),
    data_type varchar(100),
    before_value_string varchar(255),
    after_value_string varchar(255),
    before_value_text text,
    after_value_text text,
    PRIMARY KEY (id)
);

CREATE TABLE config (
    category varchar(32),
    name varchar(32),
    value text
);

CREATE TABLE acl_actions (
    id varchar(36) NOT NULL,
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    name varchar(150),
    category varchar(100),
    acltype varchar(100),
    aclaccess integer,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE acl_roles (
    id varchar(36) NOT NULL,
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    name varchar(150),
    description text,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE acl_roles_actions (
    id varchar(36) NOT NULL,
    role_id varchar(36),
    action_id varchar(36),
    access_override integer,
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE acl_roles_users (
    id varchar(36) NOT NULL,
    role_id varchar(36),
    user_id varchar(36),
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups (
    id varchar(36) NOT NULL,
    name varchar(255),
    date_entered timestamp,
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    description text,
    deleted smallint DEFAULT 0,
    assigned_user_id varchar(36),
    noninheritable smallint,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups_users (
    id varchar(36) NOT NULL,
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    securitygroup_id varchar(36),
    user_id varchar(36),
    primary_group smallint,
    noninheritable smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups_records (
    id varchar(36) NOT NULL,
    securitygroup_id varchar(36),
    record_id varchar(36),
    module varchar(36),
    date_modified timestamp,
    modified_user_id varchar(36),
    created_by varchar(36),
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups_default (
    id varchar(36) NOT NULL,
    securitygroup_id varchar(36),
    module varchar(50),
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

CREATE TABLE securitygroups_acl_roles (
    id varchar(36) NOT NULL,
    securitygroup_id varchar(36),
    role_id varchar(36),
    date_modified timestamp,
    deleted smallint DEFAULT 0,
    PRIMARY KEY (id)
);

-- A case without a number (or with 0) gets the next one, and a number once given is never given
-- again. (Functions on one line: the loader splits at line ends.)
CREATE SEQUENCE cases_number;
CREATE FUNCTION cases_number() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF coalesce(NEW.case_number, 0) = 0 THEN NEW.case_number := nextval('cases_number'); ELSE PERFORM setval('cases_number', greatest(NEW.case_number, (SELECT last_value FROM cases_number))); END IF; RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER cases_number BEFORE INSERT ON cases FOR EACH ROW EXECUTE PROCEDURE cases_number();

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
