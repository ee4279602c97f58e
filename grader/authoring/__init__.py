"""Writing an assignment: stubs, what is published, templates of new assignments."""
