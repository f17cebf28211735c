-- SPDX-License-Identifier: Apache-2.0
-- The new store of the reference CRM: one table an entity, typed as a team today would. The
-- entity maps (migrations/maps/suitecrm) name these tables and columns; `ficus check --print
-- sql ENTITY` prints what a map proposes, and this file started from that.
--
-- Ids are text as given (GUIDs mostly, but also '1' or 'seed_jim_id') and compare by bytes.
-- Times are UTC. A length is checked only where the legacy column has one, so that whatever is
-- written here can go back. Text is nullable and '' is not NULL: both come back as they were.
--
-- Foreign keys: the legacy has none, and its rows point at rows that are gone (deleted users,
-- campaigns, links to missing ids, parents of any type). Only a case's account is one here: it
-- is the reference that the service acts on. All others stay plain ids with an index.
CREATE SCHEMA IF NOT EXISTS crm;

-- Numbers of cases made here. Those made in the legacy arrive with their number, so the next
-- one also looks past what the table holds; the lock keeps two callers from moving the
-- sequence to the same place.
CREATE SEQUENCE crm.case_number START 1 CACHE 1;
CREATE FUNCTION crm.next_case_number() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    n bigint := nextval('crm.case_number');
    top bigint;
BEGIN
    SELECT max(case_number) INTO top FROM crm."case";
    IF top >= n THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('crm.case_number', 0));
        SELECT max(case_number) INTO top FROM crm."case";
        n := nextval('crm.case_number');
        IF top >= n THEN
            n := setval('crm.case_number', top + 1);
        END IF;
    END IF;
    RETURN n;
END $$;

CREATE TABLE crm."user" (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    user_name text CHECK (char_length(user_name) <= 60),
    user_hash text CHECK (char_length(user_hash) <= 255),
    system_generated_password boolean,
    pwd_last_changed timestamptz(0),
    authenticate_id text CHECK (char_length(authenticate_id) <= 100),
    sugar_login boolean,
    first_name text CHECK (char_length(first_name) <= 255),
    last_name text CHECK (char_length(last_name) <= 255),
    is_admin boolean,
    external_auth_only boolean,
    receive_notifications boolean,
    description text,
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    title text CHECK (char_length(title) <= 50),
    photo text CHECK (char_length(photo) <= 255),
    department text CHECK (char_length(department) <= 50),
    phone_home text CHECK (char_length(phone_home) <= 50),
    phone_mobile text CHECK (char_length(phone_mobile) <= 50),
    phone_work text CHECK (char_length(phone_work) <= 50),
    phone_other text CHECK (char_length(phone_other) <= 50),
    phone_fax text CHECK (char_length(phone_fax) <= 50),
    status text CHECK (char_length(status) <= 100),
    address_street text CHECK (char_length(address_street) <= 150),
    address_city text CHECK (char_length(address_city) <= 100),
    address_state text CHECK (char_length(address_state) <= 100),
    address_country text CHECK (char_length(address_country) <= 100),
    address_postalcode text CHECK (char_length(address_postalcode) <= 20),
    deleted boolean DEFAULT false,
    portal_only boolean,
    show_on_employees boolean,
    employee_status text CHECK (char_length(employee_status) <= 100),
    messenger_id text CHECK (char_length(messenger_id) <= 100),
    messenger_type text CHECK (char_length(messenger_type) <= 100),
    reports_to_id text COLLATE "C" CHECK (char_length(reports_to_id) <= 36),
    is_group boolean,
    factor_auth boolean,
    factor_auth_interface text CHECK (char_length(factor_auth_interface) <= 255),
    PRIMARY KEY (id)
);

CREATE TABLE crm.account (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    name text CHECK (char_length(name) <= 150),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    description text,
    deleted boolean DEFAULT false,
    assigned_user_id text COLLATE "C" CHECK (char_length(assigned_user_id) <= 36),
    account_type text CHECK (char_length(account_type) <= 50),
    industry text CHECK (char_length(industry) <= 50),
    annual_revenue text CHECK (char_length(annual_revenue) <= 100),
    phone_fax text CHECK (char_length(phone_fax) <= 100),
    billing_address_street text CHECK (char_length(billing_address_street) <= 150),
    billing_address_city text CHECK (char_length(billing_address_city) <= 100),
    billing_address_state text CHECK (char_length(billing_address_state) <= 100),
    billing_address_postalcode text CHECK (char_length(billing_address_postalcode) <= 20),
    billing_address_country text CHECK (char_length(billing_address_country) <= 255),
    rating text CHECK (char_length(rating) <= 100),
    phone_office text CHECK (char_length(phone_office) <= 100),
    phone_alternate text CHECK (char_length(phone_alternate) <= 100),
    website text CHECK (char_length(website) <= 255),
    ownership text CHECK (char_length(ownership) <= 100),
    employees text CHECK (char_length(employees) <= 10),
    ticker_symbol text CHECK (char_length(ticker_symbol) <= 10),
    shipping_address_street text CHECK (char_length(shipping_address_street) <= 150),
    shipping_address_city text CHECK (char_length(shipping_address_city) <= 100),
    shipping_address_state text CHECK (char_length(shipping_address_state) <= 100),
    shipping_address_postalcode text CHECK (char_length(shipping_address_postalcode) <= 20),
    shipping_address_country text CHECK (char_length(shipping_address_country) <= 255),
    email text CHECK (char_length(email) <= 255),
    parent_id text COLLATE "C" CHECK (char_length(parent_id) <= 36),
    sic_code text CHECK (char_length(sic_code) <= 10),
    campaign_id text COLLATE "C" CHECK (char_length(campaign_id) <= 36),
    customer_tier text CHECK (char_length(customer_tier) <= 20),
    credit_limit numeric(26,6),
    PRIMARY KEY (id)
);

CREATE TABLE crm.contact (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    description text,
    deleted boolean DEFAULT false,
    assigned_user_id text COLLATE "C" CHECK (char_length(assigned_user_id) <= 36),
    salutation text CHECK (char_length(salutation) <= 255),
    first_name text CHECK (char_length(first_name) <= 100),
    last_name text CHECK (char_length(last_name) <= 100),
    title text CHECK (char_length(title) <= 100),
    photo text CHECK (char_length(photo) <= 255),
    department text CHECK (char_length(department) <= 255),
    do_not_call boolean,
    phone_home text CHECK (char_length(phone_home) <= 100),
    phone_mobile text CHECK (char_length(phone_mobile) <= 100),
    phone_work text CHECK (char_length(phone_work) <= 100),
    phone_other text CHECK (char_length(phone_other) <= 100),
    phone_fax text CHECK (char_length(phone_fax) <= 100),
    email text CHECK (char_length(email) <= 255),
    lawful_basis text,
    date_reviewed date,
    lawful_basis_source text CHECK (char_length(lawful_basis_source) <= 100),
    primary_address_street text CHECK (char_length(primary_address_street) <= 150),
    primary_address_city text CHECK (char_length(primary_address_city) <= 100),
    primary_address_state text CHECK (char_length(primary_address_state) <= 100),
    primary_address_postalcode text CHECK (char_length(primary_address_postalcode) <= 20),
    primary_address_country text CHECK (char_length(primary_address_country) <= 255),
    alt_address_street text CHECK (char_length(alt_address_street) <= 150),
    alt_address_city text CHECK (char_length(alt_address_city) <= 100),
    alt_address_state text CHECK (char_length(alt_address_state) <= 100),
    alt_address_postalcode text CHECK (char_length(alt_address_postalcode) <= 20),
    alt_address_country text CHECK (char_length(alt_address_country) <= 255),
    assistant text CHECK (char_length(assistant) <= 75),
    assistant_phone text CHECK (char_length(assistant_phone) <= 100),
    lead_source text CHECK (char_length(lead_source) <= 255),
    reports_to_id text COLLATE "C" CHECK (char_length(reports_to_id) <= 36),
    birthdate date,
    campaign_id text COLLATE "C" CHECK (char_length(campaign_id) <= 36),
    joomla_account_id text CHECK (char_length(joomla_account_id) <= 255),
    portal_account_disabled boolean,
    portal_user_type text CHECK (char_length(portal_user_type) <= 100),
    newsletter boolean,
    preferred_language text CHECK (char_length(preferred_language) <= 20),
    PRIMARY KEY (id)
);

CREATE TABLE crm.opportunity (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    name text CHECK (char_length(name) <= 50),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    description text,
    deleted boolean DEFAULT false,
    assigned_user_id text COLLATE "C" CHECK (char_length(assigned_user_id) <= 36),
    opportunity_type text CHECK (char_length(opportunity_type) <= 255),
    campaign_id text COLLATE "C" CHECK (char_length(campaign_id) <= 36),
    lead_source text CHECK (char_length(lead_source) <= 50),
    amount numeric(26,6),
    amount_usdollar numeric(26,6),
    currency_id text COLLATE "C" CHECK (char_length(currency_id) <= 36),
    date_closed date,
    next_step text CHECK (char_length(next_step) <= 100),
    sales_stage text CHECK (char_length(sales_stage) <= 255),
    probability double precision,
    PRIMARY KEY (id)
);

CREATE TABLE crm.lead (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    description text,
    deleted boolean DEFAULT false,
    assigned_user_id text COLLATE "C" CHECK (char_length(assigned_user_id) <= 36),
    salutation text CHECK (char_length(salutation) <= 255),
    first_name text CHECK (char_length(first_name) <= 100),
    last_name text CHECK (char_length(last_name) <= 100),
    title text CHECK (char_length(title) <= 100),
    photo text CHECK (char_length(photo) <= 255),
    department text CHECK (char_length(department) <= 100),
    do_not_call boolean,
    phone_home text CHECK (char_length(phone_home) <= 100),
    phone_mobile text CHECK (char_length(phone_mobile) <= 100),
    phone_work text CHECK (char_length(phone_work) <= 100),
    phone_other text CHECK (char_length(phone_other) <= 100),
    phone_fax text CHECK (char_length(phone_fax) <= 100),
    email text CHECK (char_length(email) <= 255),
    lawful_basis text,
    date_reviewed date,
    lawful_basis_source text CHECK (char_length(lawful_basis_source) <= 100),
    primary_address_street text CHECK (char_length(primary_address_street) <= 150),
    primary_address_city text CHECK (char_length(primary_address_city) <= 100),
    primary_address_state text CHECK (char_length(primary_address_state) <= 100),
    primary_address_postalcode text CHECK (char_length(primary_address_postalcode) <= 20),
    primary_address_country text CHECK (char_length(primary_address_country) <= 255),
    alt_address_street text CHECK (char_length(alt_address_street) <= 150),
    alt_address_city text CHECK (char_length(alt_address_city) <= 100),
    alt_address_state text CHECK (char_length(alt_address_state) <= 100),
    alt_address_postalcode text CHECK (char_length(alt_address_postalcode) <= 20),
    alt_address_country text CHECK (char_length(alt_address_country) <= 255),
    assistant text CHECK (char_length(assistant) <= 75),
    assistant_phone text CHECK (char_length(assistant_phone) <= 100),
    converted boolean,
    refered_by text CHECK (char_length(refered_by) <= 100),
    lead_source text CHECK (char_length(lead_source) <= 100),
    lead_source_description text,
    status text CHECK (char_length(status) <= 100),
    status_description text,
    reports_to_id text COLLATE "C" CHECK (char_length(reports_to_id) <= 36),
    account_name text CHECK (char_length(account_name) <= 255),
    account_description text,
    contact_id text COLLATE "C" CHECK (char_length(contact_id) <= 36),
    account_id text COLLATE "C" CHECK (char_length(account_id) <= 36),
    opportunity_id text COLLATE "C" CHECK (char_length(opportunity_id) <= 36),
    opportunity_name text CHECK (char_length(opportunity_name) <= 255),
    opportunity_amount text CHECK (char_length(opportunity_amount) <= 50),
    campaign_id text COLLATE "C" CHECK (char_length(campaign_id) <= 36),
    birthdate date,
    portal_name text CHECK (char_length(portal_name) <= 255),
    portal_app text CHECK (char_length(portal_app) <= 255),
    website text CHECK (char_length(website) <= 255),
    PRIMARY KEY (id)
);

CREATE TABLE crm."case" (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    name text CHECK (char_length(name) <= 255),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    description text,
    deleted boolean DEFAULT false,
    assigned_user_id text COLLATE "C" CHECK (char_length(assigned_user_id) <= 36),
    case_number integer DEFAULT crm.next_case_number() UNIQUE,
    type text CHECK (char_length(type) <= 255),
    status text CHECK (char_length(status) <= 100),
    priority text CHECK (char_length(priority) <= 100),
    resolution text,
    work_log text,
    account_id text COLLATE "C" CHECK (char_length(account_id) <= 36),
    state text CHECK (char_length(state) <= 100),
    contact_created_by_id text COLLATE "C" CHECK (char_length(contact_created_by_id) <= 36),
    PRIMARY KEY (id),
    FOREIGN KEY (account_id) REFERENCES crm.account (id)
);

CREATE TABLE crm.note (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    name text CHECK (char_length(name) <= 255),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    description text,
    deleted boolean DEFAULT false,
    assigned_user_id text COLLATE "C" CHECK (char_length(assigned_user_id) <= 36),
    file_mime_type text CHECK (char_length(file_mime_type) <= 100),
    filename text CHECK (char_length(filename) <= 255),
    parent_type text CHECK (char_length(parent_type) <= 255),
    parent_id text COLLATE "C" CHECK (char_length(parent_id) <= 36),
    contact_id text COLLATE "C" CHECK (char_length(contact_id) <= 36),
    portal_flag boolean,
    embed_flag boolean,
    PRIMARY KEY (id)
);

CREATE TABLE crm.call (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    name text CHECK (char_length(name) <= 50),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    description text,
    deleted boolean DEFAULT false,
    assigned_user_id text COLLATE "C" CHECK (char_length(assigned_user_id) <= 36),
    duration_hours integer,
    duration_minutes integer,
    date_start timestamptz(0),
    date_end timestamptz(0),
    parent_type text CHECK (char_length(parent_type) <= 255),
    status text CHECK (char_length(status) <= 100),
    direction text CHECK (char_length(direction) <= 100),
    parent_id text COLLATE "C" CHECK (char_length(parent_id) <= 36),
    reminder_time integer,
    email_reminder_time integer,
    email_reminder_sent boolean,
    outlook_id text CHECK (char_length(outlook_id) <= 255),
    repeat_type text CHECK (char_length(repeat_type) <= 36),
    repeat_interval integer,
    repeat_dow text CHECK (char_length(repeat_dow) <= 7),
    repeat_until date,
    repeat_count integer,
    repeat_parent_id text COLLATE "C" CHECK (char_length(repeat_parent_id) <= 36),
    recurring_source text CHECK (char_length(recurring_source) <= 36),
    PRIMARY KEY (id)
);

CREATE TABLE crm.account_contact (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    contact_id text COLLATE "C" CHECK (char_length(contact_id) <= 36),
    account_id text COLLATE "C" CHECK (char_length(account_id) <= 36),
    date_modified timestamptz(0),
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE TABLE crm.account_opportunity (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    opportunity_id text COLLATE "C" CHECK (char_length(opportunity_id) <= 36),
    account_id text COLLATE "C" CHECK (char_length(account_id) <= 36),
    date_modified timestamptz(0),
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE TABLE crm.opportunity_contact (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    contact_id text COLLATE "C" CHECK (char_length(contact_id) <= 36),
    opportunity_id text COLLATE "C" CHECK (char_length(opportunity_id) <= 36),
    contact_role text CHECK (char_length(contact_role) <= 50),
    date_modified timestamptz(0),
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);
