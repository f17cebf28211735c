# SPDX-License-Identifier: Apache-2.0
"""The reference legacy CRM: schema, seeded data with dirt, and direct writers; see README.md."""
