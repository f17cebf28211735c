-- SPDX-License-Identifier: Apache-2.0
-- Access control: actions, roles, security groups (docs/access-control.md).

CREATE TABLE crm.acl_action (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    name text CHECK (char_length(name) <= 150),
    category text CHECK (char_length(category) <= 100),
    acltype text CHECK (char_length(acltype) <= 100),
    aclaccess integer,
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE TABLE crm.acl_role (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    name text CHECK (char_length(name) <= 150),
    description text,
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE TABLE crm.acl_role_action (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    role_id text COLLATE "C" CHECK (char_length(role_id) <= 36),
    action_id text COLLATE "C" CHECK (char_length(action_id) <= 36),
    access_override integer,
    date_modified timestamptz(0),
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE TABLE crm.acl_role_user (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    role_id text COLLATE "C" CHECK (char_length(role_id) <= 36),
    user_id text COLLATE "C" CHECK (char_length(user_id) <= 36),
    date_modified timestamptz(0),
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE TABLE crm.security_group (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    name text CHECK (char_length(name) <= 255),
    date_entered timestamptz(0),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    description text,
    deleted boolean DEFAULT false,
    assigned_user_id text COLLATE "C" CHECK (char_length(assigned_user_id) <= 36),
    noninheritable boolean,
    PRIMARY KEY (id)
);

CREATE TABLE crm.security_group_user (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    date_modified timestamptz(0),
    deleted boolean DEFAULT false,
    securitygroup_id text COLLATE "C" CHECK (char_length(securitygroup_id) <= 36),
    user_id text COLLATE "C" CHECK (char_length(user_id) <= 36),
    primary_group boolean,
    noninheritable boolean,
    PRIMARY KEY (id)
);

CREATE TABLE crm.security_group_record (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    securitygroup_id text COLLATE "C" CHECK (char_length(securitygroup_id) <= 36),
    record_id text COLLATE "C" CHECK (char_length(record_id) <= 36),
    module text CHECK (char_length(module) <= 36),
    date_modified timestamptz(0),
    modified_user_id text COLLATE "C" CHECK (char_length(modified_user_id) <= 36),
    created_by text COLLATE "C" CHECK (char_length(created_by) <= 36),
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE TABLE crm.security_group_default (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    securitygroup_id text COLLATE "C" CHECK (char_length(securitygroup_id) <= 36),
    module text CHECK (char_length(module) <= 50),
    date_modified timestamptz(0),
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE TABLE crm.security_group_role (
    id text COLLATE "C" NOT NULL CHECK (char_length(id) <= 36),
    securitygroup_id text COLLATE "C" CHECK (char_length(securitygroup_id) <= 36),
    role_id text COLLATE "C" CHECK (char_length(role_id) <= 36),
    date_modified timestamptz(0),
    deleted boolean DEFAULT false,
    PRIMARY KEY (id)
);

CREATE INDEX acl_action_category ON crm.acl_action (category, name);
CREATE INDEX acl_role_action_role_id ON crm.acl_role_action (role_id);
CREATE INDEX acl_role_user_user_id ON crm.acl_role_user (user_id);
CREATE INDEX security_group_user_user_id ON crm.security_group_user (user_id);
CREATE INDEX security_group_record_record_id ON crm.security_group_record (record_id);
CREATE INDEX security_group_record_securitygroup_id ON crm.security_group_record (securitygroup_id);
CREATE INDEX security_group_default_module ON crm.security_group_default (module);
CREATE INDEX security_group_role_securitygroup_id ON crm.security_group_role (securitygroup_id);
