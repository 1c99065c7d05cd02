"""Fills in the column that names the site, if the site's table does not have it.

A study that publishes which site a record is from has a `site_column` in its schema, whose categories
are the sites' names. An export of one hospital seldom names the hospital, but the site's policy does.
This public name is filled in for every record before anything is checked or encoded. So the codes are
those of a table that has the column, whatever the source is. A name that the schema does not list is
refused, even if the column has `other`, because the study could not tell the site from unknown ones.
"""

import pandas as pd

from fedsynth_common.schema import CategoricalColumn, Schema


def site_name_fault(schema: Schema, site: str | None) -> str:
    """Why the site column cannot be filled with this name; empty if it can, or if there is no column."""
    if schema.site_column is None:
        return ""
    column = schema.column(schema.site_column)
    if site is None:
        return (
            f"column {column.name!r}: names the site and is not in the table; state this site's name in "
            'the policy, site = "...", and it is filled in'
        )
    if not isinstance(column, CategoricalColumn) or site not in column.categories:
        return (
            f"column {column.name!r}: names the site and is not in the table, and the policy's site, "
            f"{site!r}, is not one of its categories; correct site in the policy, or agree on a schema "
            "that lists it"
        )
    return ""


def lacks_site_name(frame: pd.DataFrame, schema: Schema) -> bool:
    """Whether the schema has a site column that the table does not have."""
    return schema.site_column is not None and schema.site_column not in frame.columns


def with_site_name(frame: pd.DataFrame, schema: Schema, site: str | None) -> pd.DataFrame:
    """The table with its site column; unchanged if it has one, or if none can be filled in."""
    if not lacks_site_name(frame, schema) or site_name_fault(schema, site):
        return frame
    return frame.assign(
        **{str(schema.site_column): pd.Series(site, index=frame.index, dtype="str")}
    )
