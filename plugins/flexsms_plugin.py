"""Registers nothing: the plugin comes with the package, as its entry point `airflow.plugins` (`flexsms.plugin`).

A plugin of the same name in here would be reported as an import error.
"""
